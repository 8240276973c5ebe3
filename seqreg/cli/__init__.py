"""The `seqreg` command: parse, call, print.

Modules here import nothing heavy at the top; a command's body imports what it needs, so that `--help` answers at
once. Importing a module of commands registers them, in the order in which `seqreg --help` lists them.
"""

# isort: off  # the order in which commands are listed
from seqreg.cli import data as data
from seqreg.cli import families as families

# isort: on
from seqreg.cli.app import app, main

__all__ = ["app", "main"]
