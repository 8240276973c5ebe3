"""Loops over numbers, compiled by Numba."""

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Callable[..., Any]:
    """The function, compiled when it is first called and kept on disk, where Numba finds a place for it.

    fastmath: let sums be reordered, for vector instructions; or LLVM's flags that say what else may be assumed. Numba
    loads when this is called: it takes long.
    """
    import numba

    try:
        return numba.njit(nogil=True, fastmath=fastmath, cache=True)(function)
    except RuntimeError:  # neither beside the function's file nor in a cache of the user's
        return numba.njit(nogil=True, fastmath=fastmath)(function)
