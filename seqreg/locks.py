"""Locks between processes, on any operating system: the kernel's, which end with the process that holds them.

However that process ends, nothing goes stale. Where a file system has no locks, everybody gets one.
"""

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class Lock:
    """The right to work on something, which one process at a time can take. path: a file of the lock's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path, timeout=0)

    def take(self) -> bool:
        """Take the lock at once; False while another process holds it."""
        try:
            self._lock.acquire()
        except Timeout:
            return False
        except (OSError, NotImplementedError):  # no locks on this file system
            return True
        return True

    def give_back(self, *, remove: bool) -> None:
        """Let others take the lock. remove: delete its file, since nobody needs it again."""
        self._lock.release()
        if remove:
            with suppress(OSError):  # on Windows, while another process looks at it
                self.path.unlink(missing_ok=True)
