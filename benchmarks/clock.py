"""How long a call in this process takes, and what a whole command does, measured alike by all benchmarks."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

OF_ONE_THREAD = ("encode",)  # which cannot be told a number


class Cost(NamedTuple):
    """Of a command with its start and all that it started: seconds of the processor and of the clock.

    mebibytes: peak memory of its largest process. load: of the machine, when it had ended.
    """

    processor_seconds: float
    seconds: float
    mebibytes: float
    load: float


def cost(*words: object, folder: Path | None = None, tree: Path | None = None) -> Cost:
    """What `seqreg WORDS` costs on one thread, in a folder; tree: of which checkout, this one's by default."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({} if tree is None else {"PYTHONPATH": str(tree)})}
    threads = () if words[0] in OF_ONE_THREAD else ("--threads", "1")
    command = [sys.executable, "-W", "ignore", "-m", "seqreg", *map(str, words), *threads, "--quiet"]
    begun = time.perf_counter()
    job = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, used = os.wait4(job.pid, 0)
    assert status == 0, words
    seconds = time.perf_counter() - begun
    return Cost(used.ru_utime + used.ru_stime, seconds, used.ru_maxrss / 1024, os.getloadavg()[0])


def clocked(
    function: Callable[[], Tensor], repeats: int, of: Callable[[Iterable[float]], float] = min
) -> tuple[float, Tensor]:
    """One of several times in seconds, the shortest unless `of` picks another, after a first call; and the result."""
    result = function()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - begun)
    return of(times), result
