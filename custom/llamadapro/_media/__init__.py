"""Media between the disk and the network: downloads that can be resumed, and files that are read to be uploaded."""

import os
from pathlib import Path

from ..errors import InvalidRequestError


def to_path(given: str | os.PathLike[str]) -> Path:
    """The path; raises `InvalidRequestError` for what no file system can hold."""
    try:
        path = Path(given)
        if b"\0" not in os.fsencode(path):
            return path
    except (TypeError, ValueError):
        pass
    raise InvalidRequestError(f"{given!r} is not the path of a file")
