"""What runs the pages that people read: their blocks of code, in a folder where `seqreg` is this very code.

Commands and Python are forked off a warm interpreter (tests/warm.py), where what a page does not choose is small.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import seqreg
from tests.warm import CLIENT

GROUNDS = Path(seqreg.__file__).parent.parent


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, whatever follows its name on the line of the fence."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def files(page: Path) -> dict[str, str]:
    """Name -> content of the blocks that a page calls files: ```yaml title="config.yaml"."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', text, flags=re.MULTILINE | re.DOTALL))


def commands(page: Path) -> str:
    """The lines after `$ ` of all ```console blocks: one shell script."""
    lines = [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    assert lines
    return "\n".join(lines)


def provide(folder: Path, warm: str, *modules: str) -> None:
    """Commands in `bin`: `seqreg` and `python` of the warm interpreter, further modules of this one."""
    texts = {name: f'#!/bin/sh\nexec "{sys.executable}" -m {name} "$@"\n' for name in modules}
    for name, words in {"seqreg": "'-m', 'seqreg', *sys.argv[1:]", "python": "*sys.argv[1:]"}.items():
        texts[name] = CLIENT.format(python=sys.executable, address=warm, words=words)
    for name, text in texts.items():
        command = folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(text)
        command.chmod(0o755)


def run(folder: Path, *command: str) -> str:
    """What a command that must succeed says, run in a folder after `provide`."""
    world = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(GROUNDS),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    done = subprocess.run(command, cwd=folder, env=world, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_shell(folder: Path, script: str) -> str:
    return run(folder, "bash", "-euxo", "pipefail", "-c", script)


def run_python(folder: Path, program: str) -> str:
    return run(folder, str(folder / "bin" / "python"), "-c", program)


NUMBERED = """
import os, signal, warnings
from pathlib import Path
from seqreg.cli import main

# A shell starts what runs in the background, these tests perhaps, with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.resetwarnings()  # a command's are not errors
Path("number").write_text(str(os.getpid()))
main()
"""


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """A `seqreg` command in a folder after `provide`, which writes the number of its process into `number`."""
    program = [str(folder / "bin" / "python"), "-c", NUMBERED, *words]
    return subprocess.Popen(program, cwd=folder, stderr=subprocess.PIPE, text=True)
