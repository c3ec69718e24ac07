"""A download's file: it grows next to the destination, can be resumed later, and is moved there once it is complete."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from .._headers import is_header_value
from ..errors import InvalidRequestError

if sys.platform != "win32":
    import fcntl

Progress = Callable[[int, int | None], object]
"""Called with the bytes received so far and the bytes in all, None where nobody says."""

WRITE_SIZE = 2**20
"""Bytes gathered before they are written, in a thread, while the next ones come: a slow disk blocks neither loop nor
sender."""

MAX_CHUNKS = 512
"""So many are written together at most, however small they are; a system call takes 1,024."""


class PartialFile:
    """The file next to the destination that a download grows in, until it is complete and takes the other's name.

    What is needed to resume it later is in a small file next to that: extended attributes would be lost on many file
    systems, and at the end of the part itself it would have to be distinguished from the data.
    """

    def __init__(self, path: Path, source: str, on_progress: Progress | None, *, resume: bool) -> None:
        if not path.name:
            raise IsADirectoryError(f"{path} is a directory; the path must name the file to be written")
        _check_replaceable(path)
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._metadata_path = path.with_name(f"{path.name}.part.json")
        # A digest: URLs may hold secrets, and this file may be read by others.
        self._source = hashlib.sha256(source.encode()).hexdigest()
        self._on_progress = on_progress
        self._pending: list[bytes] = []
        self._waiting = 0
        self._disk = ThreadPoolExecutor(1, "llamadapro-download")
        self._writing: Future[None] | None = None
        # What names the version that the bytes are of, for If-Range; without it there is nothing to resume.
        self.validator: str | None = None
        self.total: int | None = None
        self.size = 0
        self._file = os.fdopen(_open_own(self._part, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
        try:
            self._lock()
            if resume:
                self._read_metadata()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Two downloads into one file, by two processes even, would make it a wrong one."""
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(self._file.fileno()), self._part.stat()):
                    return
            except (BlockingIOError, FileNotFoundError):  # the other one has it; or has just finished
                pass
            except OSError:  # a file system without locks
                return
            raise InvalidRequestError(f"{self.path} is being downloaded already")

    def _read_metadata(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
            with os.fdopen(_open_own(self._metadata_path, os.O_RDONLY), "rb") as file:
                metadata = json.load(file)
            validator, total = metadata["validator"], metadata["total"]
            ours = metadata["source"] == self._source and is_header_value(validator)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return
        if not ours or not (total is None or (type(total) is int and size <= total)):
            return
        if size and size == total:  # requested again, the last byte shows whether the file is still the same
            size -= 1
            self._file.truncate(size)
        self.validator, self.total, self.size = validator, total, size

    def restart(self, validator: str | None, total: int | None) -> None:
        """Drop what is there; what comes now is of another version."""
        self._await_write()
        self._pending, self._waiting = [], 0
        self.validator, self.total, self.size = validator, total, 0
        self._file.truncate(0)  # before the metadata, which must never describe other bytes than these
        self._metadata_path.unlink(missing_ok=True)
        if validator is not None:
            with os.fdopen(_open_own(self._metadata_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
                json.dump({"source": self._source, "validator": validator, "total": total}, file)

    def feed(self, chunk: bytes) -> bool:
        """Gather a chunk; whether there are enough of them now to be written."""
        self._pending.append(chunk)
        self._waiting += len(chunk)
        self.size += len(chunk)
        if self._on_progress is not None:
            self._on_progress(self.size, self.total)
        return self._waiting >= WRITE_SIZE or len(self._pending) == MAX_CHUNKS

    async def write(self) -> None:
        if self._writing is not None and not self._writing.done():
            await asyncio.wrap_future(self._writing)
        self._await_write()
        gathered, self._pending, self._waiting = self._pending, [], 0
        self._writing = self._disk.submit(self._append, gathered)

    def _append(self, chunks: list[bytes]) -> None:
        # As they are, where the system can: put together, 200 MB would be copied once more.
        written = os.writev(self._file.fileno(), chunks) if sys.platform != "win32" else 0
        if written < sum(map(len, chunks)):  # the disk may be full: writing the rest will show
            self._file.write(b"".join(chunks)[written:])
            self._file.flush()

    def _await_write(self) -> None:
        """Wait for a write under way; raises what became of it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    async def finish(self) -> None:
        # In the thread too: to replace a large file may take its time.
        await asyncio.wrap_future(self._disk.submit(self._finish))

    def _finish(self) -> None:
        self._await_write()
        self._file.write(b"".join(self._pending))
        self._pending = []
        self._file.flush()
        if os.fstat(self._file.fileno()).st_size != self.size:
            raise OSError(f"{self._part} was changed by somebody else")
        if sys.platform == "win32":  # which does not rename open files
            self._file.close()
        _check_replaceable(self.path)  # a download takes its time
        os.replace(self._part, self.path)
        self._metadata_path.unlink(missing_ok=True)
        self._file.close()

    def close(self) -> None:
        """Keep what has come, in its order: without what is gathered, if a write before it failed or was cancelled."""
        self._disk.shutdown()
        if self._file.closed:
            return
        with suppress(OSError, CancelledError):  # what is being raised already says more
            self._await_write()
            self._file.write(b"".join(self._pending))
        with suppress(OSError):
            self._file.flush()
            if not os.fstat(self._file.fileno()).st_size:
                self._part.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()


def _check_replaceable(path: Path) -> None:
    """Whether a download may take this name: what is there is a file, or nothing. Follows links, as to a device."""
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{path} is a directory; the path must name the file to be written")
        if not stat.S_ISREG(mode):
            raise InvalidRequestError(f"{path} is {_kind(mode)}, which no download replaces; choose another path")


def _open_own(path: Path, flags: int) -> int:
    """Open a file of the download's own, which may lie where others can write: never through a link of theirs."""
    # Without O_NONBLOCK, opening a FIFO would wait for its other end.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.open(path, flags, 0o666)
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _in_the_way(path, path.lstat().st_mode) from error
        raise
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(file)
        raise _in_the_way(path, status.st_mode)
    return file


def _in_the_way(path: Path, mode: int) -> InvalidRequestError:
    return InvalidRequestError(f"{path} is {_kind(mode)}, where a download keeps what it has received; remove it")


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "another file too (a hard link)"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((kind for is_kind, kind in kinds if is_kind(mode)), "a device")
