"""Files that are written whole or not at all, and what is no file: devices, pipes, standard output."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from seqreg.errors import DiskFullError, UsageError, option

_OPEN_FILES = Path("/proc/self/fd")
_MOST_LINKS = 40
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_MOST_NAMED = 5


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success flush it to disk and rename it into place, on error remove it.

    A symbolic link stays, and what it points to is replaced; a file that is replaced keeps its mode bits. What is no
    regular file (a device, a pipe, /dev/stdout) is written through to. Raises UsageError for a folder and for a place
    where nothing can be written, DiskFullError where the disk is full; both name `path`.
    """
    refuse_folder(path)
    target = follow_links(path)
    if "b" in mode:
        text: dict[str, Any] = {}
    else:
        text = {"encoding": "utf-8", "newline": ""}
    with naming(path), _through(target, mode, text) if is_stream(target) else _beside(target, mode, text) as handle:
        yield handle


def refuse_folder(path: str | Path) -> None:
    """Raises UsageError for a folder where a file is to be written: said before long work, not after it."""
    if follow_links(path).is_dir():
        raise UsageError(f"cannot write {path}: it is a folder. Give the name of a file as {option('output')}")


def refuse_to_replace(folder: Path, names: Iterable[str], which: str = "what would be replaced") -> None:
    """Raises UsageError where one of these is in a folder already that seqreg did not write. which: what they are."""
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
        raise UsageError(
            f"{folder} holds {which} and seqreg did not write: {', '.join(there[:_MOST_NAMED])}{more}. Move it away, "
            f"or choose another {option('output')}"
        )


def is_stream(path: str | Path) -> bool:
    """Whether what is written there is gone at once: devices, pipes and standard output, not files and folders."""
    target = follow_links(path)
    if _descriptor(target) is not None:
        return True
    try:
        kind = os.stat(target).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def follow_links(path: str | Path) -> Path:
    """Where symbolic links lead to, but for the names of open files of this process, which /dev/stdout is one of."""
    target = Path(path)
    for _ in range(_MOST_LINKS):
        if _descriptor(target) is not None or not target.is_symlink():
            return target
        target = target.parent / os.readlink(target)
    raise UsageError(f"cannot write {path}: its symbolic links go round in a circle. Choose another {option('output')}")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file that was being written when the disk was full: the system names a temporary one, or none."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFullError(f"cannot write {path}: {os.strerror(error.errno)}. Make room and try again") from None


@contextmanager
def _beside(target: Path, mode: str, text: dict[str, Any]) -> Iterator[IO[Any]]:
    """A temporary file that becomes the target."""
    with _possible(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, mode, **text) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(temporary, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _through(target: Path, mode: str, text: dict[str, Any]) -> Iterator[IO[Any]]:
    """The device or pipe itself; who moves about in the file gets a temporary one, which is copied at the end."""
    if "+" in mode:
        with tempfile.TemporaryFile(mode) as whole:
            yield whole
            whole.seek(0)
            with _through(target, "wb", text) as handle:
                shutil.copyfileobj(whole, handle)
        return
    number = _descriptor(target)
    with ExitStack() as stack:
        with _possible(target):
            handle = stack.enter_context(open(target if number is None else os.dup(number), mode, **text))
        yield handle


@contextmanager
def _possible(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise UsageError(f"cannot write {target}: {error.strerror}. Choose another {option('output')}") from None


def _descriptor(target: Path) -> int | None:
    """The number of an open file of this process, of a path that is its name."""
    if target.name.isdecimal() and target.parent.resolve() == _OPEN_FILES.resolve():
        return int(target.name)
    return None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
