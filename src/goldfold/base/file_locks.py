"""File locks in a folder that all users share; the holder has the file that exists under the name locked."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Lock:
    """A locked file, by its open handle."""

    handle: int
    name: str
    how: int


def lock_file(folder: int, name: str, how: int) -> Lock | None:
    """Lock a file that every user may open; None if another process holds it."""
    while True:
        lock = Lock(_open(folder, name), name, how)
        try:
            fcntl.flock(lock.handle, how)
        except OSError as error:
            os.close(lock.handle)
            if isinstance(error, BlockingIOError):
                return None
            raise
        if is_there(folder, lock):
            touch(lock.handle)
            return lock
        os.close(lock.handle)  # removed between opening and locking: others would lock the new file


def _open(folder: int, name: str) -> int:
    while True:
        with suppress(FileNotFoundError):
            # Without O_CREAT: the kernel refuses it for other users' files in a sticky folder (fs.protected_regular).
            return os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        with suppress(FileExistsError), no_umask():
            os.close(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder))


def is_there(folder: int, lock: Lock) -> bool:
    """True if the locked file is still the one that exists under its name."""
    try:
        return os.path.samestat(os.fstat(lock.handle), os.stat(lock.name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False


def touch(handle: int) -> None:
    """Update a file's modification time."""
    with suppress(OSError):  # a file system may forbid it for other users' files
        os.utime(handle)


def close(locks: list[Lock]) -> None:
    """Close the locks' files and empty the list."""
    while locks:
        os.close(locks.pop().handle)


@contextmanager
def no_umask() -> Iterator[None]:
    """Give new files exactly the permissions requested."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
