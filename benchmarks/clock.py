"""How long a call takes, measured alike by the benchmarks that compare calls in one process."""

import time
from collections.abc import Callable, Iterable

from torch import Tensor


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
