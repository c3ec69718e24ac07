"""A download's file: it grows beside the wanted one, can be gone on with another day, and is moved there when whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from .._config import Config
from .._headers import is_header_value
from .._transport import Transport
from .._transport.download import Download, check_url
from ..errors import InvalidRequestError

if sys.platform != "win32":
    import fcntl

Progress = Callable[[int, int | None], object]
"""Called with the bytes received so far and the bytes in all, None where nobody says."""

WRITE_SIZE = 2**20
"""Bytes gathered before they are written, in a thread, while the next ones come: no slow disk stops the loop, and no
pause the sender."""

MAX_CHUNKS = 512
"""So many are written together at most, however small they are; a system call takes 1,024."""


async def download(
    transport: Transport,
    config: Config,
    url: str,
    path: str | os.PathLike[str],
    *,
    source: str | None,
    on_progress: Progress | None,
    resume: bool,
    timeout: float,
) -> Path:
    """Bring a file to `path`, whole or not at all. `source` names it where its URL does not, being signed anew."""
    address = check_url(url)
    if not timeout > 0:
        raise InvalidRequestError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    name = str(address) if source is None else f"{source} {address.copy_with(query=None)}"
    part = PartialFile(Path(path), name, on_progress, resume=resume)
    try:
        await Download(transport, config, address, part, timeout).run()
        await part.finish()
    finally:
        part.close()
    return part.path


class PartialFile:
    """The file beside the wanted one that a download grows in, until it is whole and takes the other's name.

    What is needed to go on with it another day is in a small file beside that: extended attributes would be lost on
    many file systems, and at the end of the part itself it would have to be told apart from the data.
    """

    def __init__(self, path: Path, source: str, on_progress: Progress | None, *, resume: bool) -> None:
        if not path.name or path.is_dir():
            raise IsADirectoryError(f"{path} is a directory; the path must name the file to be written")
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._metadata_path = path.with_name(f"{path.name}.part.json")
        # A digest: URLs may hold secrets, and these notes lie about.
        self._source = hashlib.sha256(source.encode()).hexdigest()
        self._on_progress = on_progress
        self._pending: list[bytes] = []
        self._waiting = 0
        self._disk = ThreadPoolExecutor(1, "llamadapro-download")
        self._writing: Future[None] | None = None
        self.validator: str | None = None
        self.total: int | None = None
        self.size = 0
        self._file = self._part.open("ab")
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
            notes = json.loads(self._metadata_path.read_bytes())
            validator, total = notes["validator"], notes["total"]
            ours = notes["source"] == self._source and is_header_value(validator)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return
        if not ours or not (total is None or (type(total) is int and size <= total)):
            return
        if size and size == total:  # asked for once more, the last byte tells whether the file is still the same
            size -= 1
            self._file.truncate(size)
        self.validator, self.total, self.size = validator, total, size

    def restart(self, validator: str | None, total: int | None) -> None:
        self._await_write()
        self._pending, self._waiting = [], 0
        self.validator, self.total, self.size = validator, total, 0
        self._file.truncate(0)  # before the notes: they must never speak of other bytes than these
        if validator is None:
            self._metadata_path.unlink(missing_ok=True)
        else:
            self._metadata_path.write_text(json.dumps({"source": self._source, "validator": validator, "total": total}))

    def feed(self, chunk: bytes) -> bool:
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
        if written < sum(map(len, chunks)):  # the disk may be full: to write the rest tells
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
