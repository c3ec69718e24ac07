"""What a sandbox holds, and what a test may do with it; `app` answers requests from it."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Collection
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.requests import Request

from .audio import fitting, seconds_in, size_of
from .clock import Clock
from .document import Document, load
from .errors import SandboxWarning
from .faults import Connections, Faults
from .paging import sign
from .request import CONTROL_KEY, check_key
from .request_log import RequestLog
from .sections import Handler, handlers, recordings
from .seeding import seed
from .state import Settings, State
from .store import Store

DEFAULT_KEY = "sandbox"


class Core:
    """The data, the clock and the faults of a sandbox, and the log of its requests."""

    def __init__(
        self,
        *,
        db: str = ":memory:",
        api_key: str = DEFAULT_KEY,
        speed: float = 1.0,
        seed: dict[str, Any] | None = None,
        document: Document | Path | str | None = None,
        strict: bool = False,
        hosts: Collection[str] = (),
        **settings: Any,
    ):
        if not api_key or not api_key.isascii() or not api_key.isprintable() or api_key != api_key.strip():
            raise ValueError("the API key must be printable ASCII without spaces around it")
        self.api_key = api_key
        self.strict = strict
        self.hosts: frozenset[str] = frozenset(host.lower() for host in ([hosts] if isinstance(hosts, str) else hosts))
        loaded = document if isinstance(document, Document) else load(str(document) if document else None)
        self.document: Document = loaded
        self.store: Store = Store(db)
        try:
            clock = Clock(
                ahead=self.store.noted("ahead") or 0.0, speed=speed, on_change=partial(self.store.note, "ahead")
            )
            self.state: State = State(self.document, self.store, clock)
            self.handlers: dict[str, Handler] = handlers(self.document)
            self.faults: Faults = Faults(self.document)
            """What goes wrong on demand: `sandbox.faults.add("status", status=503, times=1)`."""
            self.requests: RequestLog = RequestLog(self.document)
            """What was received so far, and what was answered."""
            self.connections: Connections = {}
            self.stopping: threading.Event = threading.Event()
            """Set while its server stops: whoever waits for something new gets an answer."""
            self._first = (seed or {}, settings, speed)
            self.settings.change(settings)
            if seed and not self.store.counts():
                self.seed(seed)
        except BaseException:
            self.close()
            raise

    @property
    def clock(self) -> Clock:
        """`sandbox.clock.advance(60)` instead of sleeping."""
        return self.state.clock

    @property
    def settings(self) -> Settings:
        return self.state.settings

    def seed(self, data: dict[str, Any]) -> dict[str, list[Any]]:
        """Create records from bodies of requests: `seed({"contacts": [{"firstName": "Jane"}]})`; all or nothing.

        A field that the document does not have is a `SandboxWarning`, or an error if the sandbox is strict.
        """
        created, warning = self.seed_quietly(data)
        if warning:
            warnings.warn(f"the seed: {warning}", SandboxWarning, stacklevel=2)
        return created

    def seed_quietly(self, data: dict[str, Any]) -> tuple[dict[str, list[Any]], str]:
        """As `seed`; what is odd is returned."""
        return seed(self.state, self.handlers, data, strict=self.strict)

    def reset(self) -> None:
        """As it was in the beginning: no records but the first seed's, no faults, no requests, the clock on time."""
        first_seed, settings, speed = self._first
        with self.store.transaction():
            self.store.load({})
            self.clock.set_ahead(0)
            self.clock.speed = speed
            self.state.forget(settings)
            self.faults.clear()
            self.requests.clear()
            self.seed_quietly(first_seed)

    def snapshot(self) -> dict[str, Any]:
        """All records and the clock, as JSON values, for `restore`."""
        taken = {"records": self.store.dump(), "ahead": self.clock.ahead}
        return {**taken, "signature": _signature(taken)}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Bring back what `snapshot` gave; anything else is a ValueError, and changes nothing."""
        try:
            if snapshot["signature"] != _signature(snapshot):
                raise ValueError("it was changed")
            with self.store.transaction():
                self.store.load(snapshot["records"])
                self.clock.set_ahead(snapshot["ahead"])
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as problem:
            raise ValueError(f"this is not what snapshot() gave: {problem!r}") from None

    def add_recording(
        self, *, bytes: int | None = None, seconds: float | None = None, base_url: str = "http://sandbox"
    ) -> dict[str, Any]:
        """A recording of a wanted size (to a multiple of 4) or length, without a call; as GetRecording answers it."""
        size = (
            size_of(self.settings.recording_seconds if seconds is None else seconds)
            if bytes is None
            else fitting(bytes)
        )
        values = {"startTime": self.clock.stamp(), "duration": seconds_in(size), "dualChannel": True, "_bytes": size}
        with self.store.transaction():
            return recordings.to_response(self.state, self.state.add(recordings.KIND, values), base_url)

    def check_control_key(self, request: Request) -> None:
        # Only headers: a link or a form of another site can carry a query.
        keys = [CONTROL_KEY, *sorted((one for one in self.document.placements if one.place == "header"), key=str)]
        check_key(tuple((one,) for one in keys), request, self.api_key)

    def close(self) -> None:
        """Close the database; closing twice does no harm."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self.store.close.alive:
            return "<Sandbox: closed>"
        records = ", ".join(f"{count} {kind}" for kind, count in self.store.counts().items()) or "no records"
        return f"<Sandbox: {records}; {len(self.requests)} requests, {len(self.faults)} faults, {self.clock!r}>"


def _signature(snapshot: dict[str, Any]) -> str:
    """Records that were changed by hand could overwrite one another: so that they are noticed."""
    return sign(json.dumps([snapshot["records"], float(snapshot["ahead"])], sort_keys=True).encode())
