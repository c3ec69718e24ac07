"""A ledger in PostgreSQL, for any number of processes (psycopg 3, extra ``postgres``).

Times are the database's own. A connection that breaks is opened anew, and what became of its last commit is then read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import lru_cache
from typing import Any

from llamadapro.errors import ConfigurationError, InvalidRequestError, LlamadaProError

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:
    raise ConfigurationError("a PostgreSQL ledger needs psycopg: pip install 'llamadapro[postgres]'") from None

from .ledger import Batch, Ledger, Rows
from .statements import LEAVE, SCHEMA, Dialect

LEASE = 30.0
PATIENCE = 120.0
"""Seconds for which a ledger that cannot be reached any more is tried again."""
MAX_PAUSE = 2.0

POSTGRES = Dialect(
    now="extract(epoch from statement_timestamp())::double precision",
    identity="bigint generated always as identity primary key",
    lock=" for update",
    skip_locked=" for update skip locked",
    json_rows="json_to_recordset(cast(:{parameter} as json)) as s({columns})",
    json_column="{name} {type}",
)
_LOCK = "select pg_advisory_xact_lock(7813583561)"  # tables are made by one process, should several begin at once
# A scan rather than to_regclass(), whose cache does not see what another process has made meanwhile.
_EXISTS = "select 1 from pg_catalog.pg_class where relname = 'llamadapro_units' and pg_table_is_visible(oid)"
# Where the server's default may forget a commit in a crash, a claim could be sent twice.
_DURABLE = "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"


# Read-only: after a failover, until the connection leads to the new primary.
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, TimeoutError)


class PostgresLedger(Ledger):
    """A `Ledger` in PostgreSQL. `lease` is the time in seconds after which a silent worker's claims are unknown."""

    dialect = POSTGRES

    def __init__(self, url: str, *, lease: float = LEASE, patience: float = PATIENCE) -> None:
        super().__init__()
        self.lease = lease
        self._patience = patience
        self._url = url
        parts = None
        with suppress(psycopg.Error):  # raised from here, ours would keep it as its context, and it quotes the password
            parts = conninfo_to_dict(url)
        authority, _, database = url.partition("://")[2].partition("?")[0].partition("/")
        if parts is None or authority.count("@") > 1 or "@" in database:  # what follows the first would be shown
            raise InvalidRequestError(
                "the ledger's address is no PostgreSQL URL: postgresql://USER:PASSWORD@HOST/DATABASE; in the password, "
                "write %40 for an @, %2F for a /, and %25 for a %"
            )
        self._name = f"ledger {parts.get('dbname', '')!r} at {parts.get('host', 'the local socket')}"
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._pipeline: psycopg.AsyncPipeline | None = None
        self._stack = AsyncExitStack()
        self._known_good = self._writable = False

    async def close(self) -> None:
        if self._connection is not None:
            self._patience = 0.0  # if the ledger cannot be reached any more, the lease lapses by itself
            with suppress(LlamadaProError):
                await self._rows({"leave": LEAVE}, run=self._run, worker=self._worker)
        await self._disconnect()

    async def execute(self, batch: Callable[[bool], Batch]) -> Rows:
        ends = asyncio.get_running_loop().time() + self._patience
        pause, recover = 0.05, False
        while True:
            try:
                async with asyncio.timeout(max(1.0, min(self.lease, LEASE) / 2)):
                    rows = await self._transaction(await self._connect(), *batch(recover))
                self._writable = self._run != 0  # before, runs are only looked for
                return rows
            except _LOST as error:
                await self._disconnect()
                read_only = isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and not self._writable
                if read_only or not self._known_good or asyncio.get_running_loop().time() + pause > ends:
                    self._patience = 0.0
                    kind = LlamadaProError if self._known_good and not read_only else InvalidRequestError
                    raise kind(f"{self._name} cannot be reached: {self._reason(error)}") from None
                await asyncio.sleep(pause)
                pause, recover = min(2 * pause, MAX_PAUSE), True
            except psycopg.Error as error:
                await self._disconnect()
                raise LlamadaProError(f"{self._name} cannot be used: {self._reason(error)}") from None
            except BaseException:
                await self._disconnect()
                raise

    async def _transaction(
        self, connection: psycopg.AsyncConnection[Any], texts: Mapping[str, str], parameters: Mapping[str, Any]
    ) -> Rows:
        # Two round trips: the commit waits for the rows. So either a lost connection has ended the transaction, or its
        # lock on the worker's row keeps the next one waiting until that is decided.
        assert self._pipeline is not None
        await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")
        cursors = {name: await connection.execute(_positional(text), parameters) for name, text in texts.items()}
        await self._pipeline.sync()
        rows = {name: await cursor.fetchall() if cursor.description else [] for name, cursor in cursors.items()}
        await connection.execute(b"COMMIT")
        await self._pipeline.sync()
        return rows

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=10, application_name="llamadapro"
            )
            self._connection = connection
            await connection.execute(_DURABLE)
            await self._create(connection)
            self._pipeline = await self._stack.enter_async_context(connection.pipeline())
            self._known_good = True
        return self._connection

    async def _create(self, connection: psycopg.AsyncConnection[Any]) -> None:
        if await (await connection.execute(_EXISTS)).fetchone():
            return
        async with connection.transaction():
            await connection.execute(_LOCK)
            if not await (await connection.execute(_EXISTS)).fetchone():
                for statement in POSTGRES.sql(SCHEMA).split(";"):
                    await connection.execute(statement.encode())

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
            # Behind the connection, and never with an exception: psycopg would log that it could not send a rollback.
            with suppress(psycopg.Error):
                await self._stack.aclose()

    def _reason(self, error: BaseException) -> str:
        """What the database says, on a line; never the URL, which may hold a password."""
        return " ".join(str(error).split()) or f"no answer in time ({type(error).__name__})"


@lru_cache(maxsize=64)
def _positional(text: str) -> bytes:
    """The statement with psycopg's marks of parameters."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", text.replace("%", "%%")).encode()
