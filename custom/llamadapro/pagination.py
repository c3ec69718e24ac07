"""Lists that come in pages, walked one way: await the first page, iterate items, iterate pages, or collect all."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from llamadapro_api.types import Call

from .errors import PaginationError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class PageModel(Protocol[T_co]):
    """What every page of the document has."""

    @property
    def items(self) -> Sequence[T_co]: ...
    @property
    def next_page_token(self) -> str | None: ...
    @property
    def total_count(self) -> int | None: ...


Prepare = Callable[[str | None], Call[PageModel[T]]]
"""Prepares the call for the page that a token leads to; None for the first."""

Send = Callable[[Call[Any]], Awaitable[Any]]


class Page(Generic[T]):
    """One page of a list."""

    items: builtins.list[T]
    next_page_token: str | None
    """Leads to the next page; None on the last."""
    total_count: int | None
    """How many items there are on all pages, if the service says so."""

    def __init__(self, model: PageModel[T], follow: Callable[[str], Awaitable[Page[T]]]) -> None:
        # A page whose items are missing or null is an empty one.
        self.items = [*(model.items or ())]
        # An empty token leads nowhere.
        self.next_page_token = model.next_page_token or None
        self.total_count = model.total_count
        self._follow = follow

    def has_next_page(self) -> bool:
        """Whether there is a page after this one; it may turn out to be empty."""
        return self.next_page_token is not None

    async def get_next_page(self) -> Page[T]:
        """Fetch the page after this one.

        Raises `PaginationError` when there is none, or when its token has been used before.
        """
        if self.next_page_token is None:
            raise PaginationError("this is the last page; ask has_next_page() first")
        return await self._follow(self.next_page_token)

    def __repr__(self) -> str:
        return f"<Page of {len(self.items)} items{', more follow' if self.has_next_page() else ''}>"


class AsyncPaginator(Generic[T]):
    """A list of the service, fetched page by page as it is walked.

    ::

        async for contact in client.contacts.list(page_size=100): ...   # every item
        page = await client.contacts.list()                             # the first page alone
        async for page in client.contacts.list().iter_pages(): ...      # page by page
        contacts = await client.contacts.list().collect()               # all at once, in memory

    Nothing is sent before it is awaited or iterated. Each walk starts anew.
    """

    next_page_token: str | None
    """Where the walk stands: the token of the page after the last one fetched. Pass it as `page_token` to resume."""

    def __init__(self, send: Send, prepare: Prepare[T], page_token: str | None) -> None:
        self._send = send
        self._prepare = prepare
        # Prepared at once, so that a wrong argument is reported where it was written.
        self._first = prepare(page_token)
        self._first_token = page_token
        self.next_page_token = page_token

    def __await__(self) -> Generator[Any, Any, Page[T]]:
        return self._fetch(self._first, {self._first_token}).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.iter_pages():
            for item in page.items:
                yield item

    async def iter_pages(self) -> AsyncIterator[Page[T]]:
        """Walk the list page by page; an empty page that has a successor is walked past like any other."""
        page = await self
        yield page
        while page.has_next_page():
            page = await page.get_next_page()
            yield page

    async def collect(self) -> builtins.list[T]:
        """Every item in one list. Mind the memory: iterate instead where there may be many."""
        return [item async for item in self]

    async def _fetch(self, call: Call[PageModel[T]], seen: set[str | None]) -> Page[T]:
        async def follow(token: str) -> Page[T]:
            if token in seen:
                raise PaginationError(
                    f"the service returned the page token {token!r} a second time, so the list would never end"
                )
            return await self._fetch(self._prepare(token), {*seen, token})

        page = Page(await self._send(call), follow)
        self.next_page_token = page.next_page_token
        return page
