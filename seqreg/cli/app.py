"""The Typer application: how functions become commands, and how errors become one line and an exit code."""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, NoReturn, get_type_hints

import typer
from typer.core import TyperGroup

from seqreg import __version__
from seqreg.cli.options import CommonOptions, option_of, type_of_option
from seqreg.cli.terminal import Terminal
from seqreg.errors import FieldError, SeqregError, word_options
from seqreg.settings import TrainSettings

INTERRUPTED = 130
ARGUMENTS, FLAGS = {"input": "INPUT"}, {"class_files": "class"}  # what has another name here than in the library
OPTIONS = {entry.name for entry in fields(TrainSettings)} | {"valid", "test"}


class Commands(TyperGroup):
    """The commands in the order of their registration, and one place where all errors end."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage or input, 130 Ctrl-C."""
        # Threads that wait for each other would spin, for minutes where the machine is busy; asleep they cost little.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        words = list(sys.argv[1:] if args is None else args)
        extra.setdefault("obj", {"command": ["seqreg", *words]})
        try:
            code = super().main(words, prog_name or "seqreg", complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
            if code == INTERRUPTED:  # what Typer makes of Ctrl-C; earlier versions raise Abort
                raise KeyboardInterrupt
        except BrokenPipeError:
            # The reader has gone (`seqreg ... | head`): nothing to say, and nothing more to write at shutdown.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except (KeyboardInterrupt, typer.Abort):
            code = _report("Interrupted", INTERRUPTED)
        except Exception as error:  # noqa: BLE001  # nothing but the exit code leaves this program
            if "--debug" in words:
                traceback.print_exc()
            code = _report(*_message(error))
        sys.exit(code or 0)


def _report(message: str, code: int) -> int:
    print(f"Error: {' '.join(message.split())}", file=sys.stderr)
    return code


def as_flag(field: str, value: Any = None) -> str:
    """A parameter of the library as the command line writes it: `max_length` is --max-length."""
    if field in ARGUMENTS:
        return ARGUMENTS[field]
    name = FLAGS.get(field, field.replace("_", "-"))
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}" if value is None else f"--{name} {value}"


def _message(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code."""
    if isinstance(error, FieldError) and error.field in OPTIONS:
        return f"{as_flag(error.field)} {error.problem}", error.exit_code
    if isinstance(error, SeqregError):
        return word_options(error.args[0], as_flag), error.exit_code
    format_message = getattr(error, "format_message", None)  # Typer's own usage errors, from its copy of click or click
    if format_message is not None:
        return format_message(), getattr(error, "exit_code", 2)
    if isinstance(error, MemoryError):
        return "out of memory. Try a smaller --batch-size, or fewer sequences", 1
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error), 1
    return f"{type(error).__name__}: {error} (--debug shows where)", 1


app = typer.Typer(
    cls=Commands,
    name="seqreg",
    help=(
        "Train regularized 1-D CNN classifiers on small sets of protein, DNA or RNA sequences, "
        "and learn how far they can be trusted."
    ),
    epilog="Start with: seqreg train splice -o runs/splice",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """The entry point of the `seqreg` command."""
    app()
    raise AssertionError("the application leaves with an exit code")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"seqreg {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[  # acted on by its callback
        bool,
        typer.Option(
            "--version", metavar="", help="Print the version and leave.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def command(
    *, panel: str, example: str, name: str | None = None, group: typer.Typer = app
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command.

    Its first parameter is the `Terminal`. A parameter whose type is a dataclass of options (see `options`) stands
    for all of that dataclass's fields, so that every command which reads data, say, takes the same options.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        own = [entry.replace(annotation=hints[entry.name]) for entry in list(signature.parameters.values())[1:]]
        grouped: dict[str, Any] = {entry.name: entry.annotation for entry in own if is_dataclass(entry.annotation)}
        flat = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for entry in own:
            flat.extend(_parameters(entry.annotation) if entry.name in grouped else [entry])
        flat.extend(_parameters(CommonOptions))

        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            def taken(options: Any) -> Any:
                given = {entry.name: values.pop(entry.name) for entry in fields(options)}
                return options(**{name: value for name, value in given.items() if value not in (None, [])})

            common: CommonOptions = taken(CommonOptions)
            objects = {name: taken(options) for name, options in grouped.items()}
            terminal = Terminal(command=context.obj["command"], quiet=common.quiet, as_json=common.as_json)
            function(terminal, **objects, **values)

        run.__signature__ = signature.replace(  # pyright: ignore[reportAttributeAccessIssue]  # read by inspect
            parameters=[entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in flat]
        )
        run.__annotations__ = {entry.name: entry.annotation for entry in flat}
        group.command(name=name, rich_help_panel=panel, epilog=f"Example: {example}")(run)
        return function

    return register


def _parameters(options: type) -> list[inspect.Parameter]:
    """The fields of a dataclass of options, or of the settings of a training, as parameters of a function."""
    hints = get_type_hints(options, include_extras=True)
    if options is TrainSettings:
        hints = {name: Annotated[type_of_option(name), option_of(name)] for name in hints}
    defaults = {MISSING: inspect.Parameter.empty, (): None}
    return [
        inspect.Parameter(
            entry.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[entry.name],
            default=defaults.get(entry.default, entry.default),
        )
        for entry in fields(options)
    ]
