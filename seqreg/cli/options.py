"""Options that several commands share, as dataclasses which `app.command` spreads over a command's parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from seqreg.cli.config_file import apply_config

OUTPUT = "Output"


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What every command takes."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.toml",
            help="Options from a file; those on the command line win.",
            is_eager=True,
            callback=apply_config,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results and errors only.", rich_help_panel=OUTPUT)
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output.", rich_help_panel=OUTPUT)
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.", rich_help_panel=OUTPUT)] = False
