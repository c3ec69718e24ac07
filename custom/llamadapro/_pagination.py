"""Lists that come in pages: await the first page, iterate items, iterate pages, or collect all."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from llamadapro_api.types import PreparedRequest

from ._config import as_int
from ._session import Session
from .errors import InvalidRequestError, LlamadaProError, PaginationError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_EMPTY_PAGES = 1000
"""After so many empty pages in a row, each with a new token, the list would probably never end."""

# Measured: one turn of the loop starts the task, the next ones get it through the limiter and the engine.
_TICKS_TO_THE_WIRE = 3


class PageModel(Protocol[T_co]):
    """What every page model has."""

    @property
    def items(self) -> Sequence[T_co]: ...
    @property
    def next_page_token(self) -> str | None: ...
    @property
    def total_count(self) -> int | None: ...


Prepare = Callable[[str | None], PreparedRequest[PageModel[T]]]
"""Prepares the request for the page that a token leads to; None for the first."""


class Page(Generic[T]):
    """One page of a list: iterable, with a length, and picklable.

    ::

        page = await client.contacts.list(page_size=50)
        for contact in page: ...
        if page.has_next_page():
            page = await page.get_next_page()
    """

    items: builtins.list[T]
    next_page_token: str | None
    """Leads to the next page; None on the last."""
    total_count: int | None
    """How many items there are on all pages, if the service says so."""
    request_id: str | None
    """The service's id of the request that brought this page, from the ``X-Request-Id`` header."""

    def __init__(
        self, model: PageModel[T], request_id: str | None, follow: Callable[[str], Coroutine[Any, Any, Page[T]]]
    ) -> None:
        # A page whose items are missing or null is an empty one.
        self.items = [*(model.items or ())]
        # An empty token leads nowhere; one that is not a string, against the document, is sent back as its string.
        self.next_page_token = str(model.next_page_token) if model.next_page_token else None
        self.total_count = model.total_count
        self.request_id = request_id
        self._follow: Callable[[str], Coroutine[Any, Any, Page[T]]] | None = follow

    def has_next_page(self) -> bool:
        """Whether there is a page after this one, which may be empty."""
        return self.next_page_token is not None

    async def get_next_page(self) -> Page[T]:
        """Fetch the page after this one.

        Raises `PaginationError` when there is none, when its token has been used before, or after 1,000 empty pages in
        a row; and the `APIError` family.
        """
        if self.next_page_token is None:
            raise PaginationError("this is the last page; ask has_next_page() first")
        if self._follow is None:
            raise LlamadaProError(
                "a page that was copied or pickled belongs to no client: "
                "pass its next_page_token as page_token to the method that listed it"
            )
        return await self._follow(self.next_page_token)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_follow": None}

    def __repr__(self) -> str:
        return f"<Page of {len(self.items)} items{', more follow' if self.has_next_page() else ''}>"


class AsyncPaginator(Generic[T]):
    """A list of the service, fetched page by page as it is iterated.

    ::

        async for contact in client.contacts.list(page_size=100): ...   # every item
        page = await client.contacts.list()                             # the first page alone
        async for page in client.contacts.list().iter_pages(): ...      # page by page
        contacts = await client.contacts.list().collect()               # all at once, in memory

    Nothing is sent before it is awaited or iterated; each iteration starts at the first page. `max_items` limits the
    number of items; `prefetch=True` fetches the next page while the current one is processed.

    Whether an iteration sees what is created or deleted meanwhile is up to the service. To delete what you find,
    collect the ids first, or start again until nothing is found.

    Raises `PaginationError` when the service repeats a page token, or returns more than 1,000 empty pages in a row.
    """

    next_page_token: str | None
    """The token of the page after the last one returned. Pass it as `page_token` to resume there; the rest of a page
    that was only partly iterated is not repeated."""

    def __init__(
        self,
        session: Session,
        prepare: Prepare[T],
        *,
        page_token: str | None = None,
        max_items: int | None = None,
        prefetch: bool = False,
    ) -> None:
        most = as_int(max_items)
        if max_items is not None and (most is None or most < 0):
            raise InvalidRequestError(f"max_items must be an integer of at least 0, or None for all, not {max_items!r}")
        self._session = session
        self._prepare = prepare
        # Prepared at once, so that a wrong argument is reported where it was written.
        self._first = prepare(page_token)
        self._first_token = page_token
        self._max_items = most
        self._prefetch = prefetch
        self.next_page_token = page_token

    def __await__(self) -> Generator[Any, Any, Page[T]]:
        return self._begin().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async with aclosing(self.iter_pages()) as pages:
            async for page in pages:
                for item in page.items:
                    yield item

    async def iter_pages(self) -> AsyncGenerator[Page[T], None]:
        """Iterate over the pages, empty ones that have a successor among them."""
        left = self._max_items
        if left == 0:
            return
        page = await self._fetch(self._first, self._first_token, {})
        while True:
            if left is not None:
                del page.items[left:]
                left -= len(page.items)
            more = page.has_next_page() and left != 0
            ahead = await _start(page.get_next_page()) if more and self._prefetch else None
            self.next_page_token = page.next_page_token
            try:
                yield page
                if not more:
                    return
                page = await (page.get_next_page() if ahead is None else ahead)
            finally:
                if ahead is not None:
                    await _cancel(ahead)

    async def collect(self) -> builtins.list[T]:
        """Fetch all items into one list. Where there may be many, iterate instead: memory stays flat."""
        return [item async for item in self]

    async def _begin(self) -> Page[T]:
        page = await self._fetch(self._first, self._first_token, {})
        self.next_page_token = page.next_page_token
        return page

    async def _fetch(
        self,
        prepared: PreparedRequest[PageModel[T]],
        token: str | None,
        seen: dict[str | None, str | None],
        empty_pages: int = 0,
    ) -> Page[T]:
        """`seen` maps each token of the walk to the one whose page brought it; a second such page means a cycle."""

        async def follow(following: str) -> Page[T]:
            if following == self._first_token or seen[following] != token:
                raise PaginationError(
                    f"the service returned the page token {following!r} a second time, so the list would never end"
                )
            if empty_pages >= MAX_EMPTY_PAGES:
                raise PaginationError(
                    f"the service returned {empty_pages} empty pages in a row, so the list would probably never end; "
                    f"to continue all the same, pass page_token={following!r}"
                )
            return await self._fetch(self._prepare(following), following, seen, empty_pages)

        page = Page(*await self._session.send_with_id(prepared), follow)
        empty_pages = 0 if page.items else empty_pages + 1
        if page.next_page_token is not None:
            seen.setdefault(page.next_page_token, token)
        return page


async def _start(fetching: Coroutine[Any, Any, Page[T]]) -> asyncio.Task[Page[T]]:
    """Begin to fetch, and let the request reach the network even if the caller awaits nothing meanwhile."""
    task = asyncio.create_task(fetching)
    for _ in range(_TICKS_TO_THE_WIRE):
        await asyncio.sleep(0)
    return task


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task whose result is no longer needed, and retrieve its error, if any."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
