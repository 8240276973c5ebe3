"""The `seqreg` command: parse, call, print.

Modules here import nothing heavy at the top; a command's body imports what it needs, so that `--help` answers at
once. Importing a module of commands registers them, in the order in which `seqreg --help` lists them.
"""

# Commands are listed in the order of these imports.
from seqreg.cli import training as training  # isort: skip
from seqreg.cli import using as using  # isort: skip
from seqreg.cli import trust as trust  # isort: skip
from seqreg.cli import comparing as comparing  # isort: skip
from seqreg.cli import explaining as explaining  # isort: skip
from seqreg.cli import data as data  # isort: skip
from seqreg.cli import checking as checking  # isort: skip
from seqreg.cli import embedding as embedding  # isort: skip
from seqreg.cli import benchmark as benchmark  # isort: skip
from seqreg.cli import families as families  # isort: skip
from seqreg.cli.app import app, main

__all__ = ["app", "main"]
