"""What handlers work with: document, store, clock and settings, and the steps that every section repeats."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from .clock import Clock
from .document import Document
from .errors import NotFound, did_you_mean
from .paging import page
from .query import Record
from .request import ApiRequest
from .store import Store

TENANT = "sandbox"


@dataclass
class Settings:
    """What a test may turn: each is an option of the CLI and of the control interface too."""

    call_seconds: float = 2.0
    """From the start of a call to its end."""
    message_seconds: float = 1.0
    """From sending a message to its delivery; it is read after five times as long."""
    recording_seconds: float = 12.0
    """How long the conversation of a call was, and so its recording."""
    search_per_second: int | None = None
    """How many searches are answered in a second; more are a 429. None: no limit."""

    def change(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in asdict(self):
                raise ValueError(f"there is no setting {name!r}{did_you_mean(name, asdict(self))}")
            if not (isinstance(value, int | float) and 0 <= value < 1e9) and not (
                value is None and name == "search_per_second"
            ):
                raise ValueError(f"the setting {name!r} must be a number of 0 or more")
            setattr(self, name, value)


@dataclass
class State:
    document: Document
    store: Store
    clock: Clock
    settings: Settings = field(default_factory=Settings)
    searches: tuple[int, int] = (0, 0)
    """The second of the last search, and how many there were in it."""

    def forget(self, settings: dict[str, Any]) -> None:
        self.settings, self.searches = Settings(), (0, 0)
        self.settings.change(settings)

    def add(self, kind: str, values: Record, *, prefix: str = "") -> Record:
        """Keep a new record; its id may have a prefix before the number that it is kept under."""
        record = self.new(kind, values)
        number = record["id"]
        record["id"] = f"{prefix}{number}" if prefix else number
        self.store.put(kind, number, record)
        return record

    def new(self, kind: str, values: Record) -> Record:
        """A record that is not kept yet, with the id, tenant and times that every record has."""
        number, now = self.store.next_id(kind.split("/")[0]), self.clock.stamp()
        return {"id": number, "tenantId": TENANT, "createdAt": now, **_given(values), "updatedAt": now}

    def find(self, kind: str, number: Any, what: str, public_id: str = "") -> Record:
        record = self.store.get(kind, number) if isinstance(number, int) else None
        if record is None:
            raise NotFound(f"there is no {what} {public_id[:60] or number}")
        return record

    def change(self, kind: str, number: int, record: Record, values: Record) -> Record:
        """Only what was given changes; custom fields are merged, key by key."""
        values = _given(values)
        if isinstance(values.get("customFields"), dict):
            values["customFields"] = {**(record.get("customFields") or {}), **values["customFields"]}
        record = {**record, **values, "updatedAt": self.clock.stamp()}
        self.store.put(kind, number, record)
        return record

    def list(self, kind: str, request: ApiRequest, **how: Any) -> dict[str, Any]:
        """A page of a kind by the query parameters that lists share."""
        query = request.query
        return page(
            self.store,
            kind,
            size=query.get("pageSize", query.get("limit")),
            token=query.get("pageToken"),
            number=query.get("page"),
            **how,
        )


def _given(values: Record) -> Record:
    """What a request may set: never what tells records apart."""
    return {name: value for name, value in values.items() if name not in ("id", "tenantId", "updatedAt")}


def number_in(text: str, prefix: str) -> int:
    """The number in an id such as `task_7`; 0, which no record has, if there is none."""
    found = re.fullmatch(rf"{prefix}([1-9]\d{{0,14}})", text, re.ASCII)
    return int(found[1]) if found else 0


def visible(record: Record) -> Record:
    """Without what the sandbox remembers for itself."""
    return {name: value for name, value in record.items() if not name.startswith("_")}
