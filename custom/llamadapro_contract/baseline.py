"""The file of accepted differences: a JSON object whose `accepted` lists them by id."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamadapro import ConfigurationError


@dataclass
class Baseline:
    """Accepted differences by id. Keys that people add to an entry, such as a reason, are kept."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Baseline:
        try:
            accepted = json.loads(path.read_text("utf-8"))["accepted"]
            return cls({str(entry["id"]): entry for entry in accepted})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as a baseline ({type(error).__name__}: {error}); --write-baseline creates one"
            ) from None

    def to_json(self) -> str:
        accepted = sorted(self.entries.values(), key=lambda entry: str(entry["id"]))
        return json.dumps({"version": 1, "accepted": accepted}, ensure_ascii=False, indent=2) + "\n"
