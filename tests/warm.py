"""An interpreter that has imported everything once, and forks for every program that the tests would start.

A program of its own pays four seconds of imports, and trains for as long as users want it to. Here it pays a fork, runs
as it would anywhere (its own folder, streams, exit code, warnings), and what nobody asked for by name is small: see
`SMALL`. `python tests/warm.py SOCKET` listens; `CLIENT` is the text of a command that is run there.
"""

import json
import os
import runpy
import socket
import sys
import warnings
from contextlib import suppress
from importlib import import_module

# What programs have at hand, and what in it is made small: whatever a page does not choose itself.
MODULES = ("seqreg", "seqreg.cli", "seqreg.estimator", "seqreg.tuning", "seqreg.report", "seqreg.export", "onnxruntime")
SMALL = {
    "seqreg.training.defaults": {"EXAMPLES_SEEN_WITHOUT_VALIDATION": 0},  # the fewest epochs there are
    "seqreg.training.evidence": {"FEWEST": sys.maxsize},  # strands and positions are not what pages are about
    "seqreg.training.held_out": {"FOLDS_OF_FEW": 2},
    "seqreg.training.heads": {"STRENGTHS": (1.0, 10.0)},
    "seqreg.training.folds": {"SMALL": 0},  # else each training of a few sequences is one of folds: eleven of them
    "seqreg.tuning.run": {
        "usual_processes": lambda workers, *, alone: workers or 1
    },  # else there are processes, which import everything again
    "seqreg.baselines.models": {
        "_PROTEIN_LENGTHS": ((1, 1),),
        "_NUCLEOTIDE_LENGTHS": ((1, 2), (3, 3)),
        "_LOGISTIC_STRENGTHS": (1.0, 10.0),
        "_SVM_STRENGTHS": (0.1, 1.0),
    },
}

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    words = json.dumps([[{words}], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [len(words).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(words)
    sys.exit(int(asked.recv(8) or 70))
"""


def listen(address: str) -> None:
    """Serve until killed, or until whoever started this is gone."""
    for name in MODULES:
        import_module(name)
    for name, small in SMALL.items():
        module = import_module(name)
        for constant, value in small.items():
            assert hasattr(module, constant), f"{name} has no {constant} any more"
            setattr(module, constant, value)
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind(f"{address}.new")
        heard.listen()
        heard.settimeout(5)
        os.rename(f"{address}.new", address)
        while os.getppid() == parent:
            with suppress(TimeoutError):
                asked, _ = heard.accept()
                asked.settimeout(None)
                if os.fork() == 0:
                    heard.close()
                    code = answer(asked)
                    with suppress(BrokenPipeError):
                        asked.sendall(str(code).encode())
                    os._exit(code)
                asked.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def answer(asked: socket.socket) -> int:
    """Run what was asked for with the asker's streams, folder and environment; its exit code."""
    size, streams, _, _ = socket.recv_fds(asked, 4, 3)
    with asked.makefile("rb") as rest:
        words, folder, environment = json.loads(rest.read(int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        run(*words)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # what a Python that ends by it would print
        sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return 0


def run(flag: str, what: str, *arguments: str) -> None:
    """As `python -m MODULE ...` or, with warnings as errors, `python -c PROGRAM ...`."""
    sys.argv = [what if flag == "-m" else flag, *arguments]
    if flag == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        warnings.simplefilter("error")
        exec(compile(what, "<page>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    listen(sys.argv[1])
