"""Loops over numbers, compiled by Numba."""

from collections.abc import Callable


def compiled(function: Callable[..., None], *, fastmath: bool = False) -> Callable[..., None]:
    """The function, compiled when it is first called and kept on disk, where Numba finds a place for it.

    fastmath: let sums be reordered, for vector instructions. Numba loads when this is called: it takes long.
    """
    import numba

    try:
        return numba.njit(nogil=True, fastmath=fastmath, cache=True)(function)
    except RuntimeError:  # neither beside the function's file nor in a cache of the user's
        return numba.njit(nogil=True, fastmath=fastmath)(function)
