"""Every test here runs on the client's own engine and on a caller's `http_client`."""

from tests.unit.wire.mocked import client, make

__all__ = ["client", "make"]
