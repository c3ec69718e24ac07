"""Conversations in sales funnels, one or many at a time (section v1/conversations)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from llamadapro_api import api, models
from llamadapro_api.types import PreparedRequest

from .. import addresses
from .._lazy import LazyModule
from ..errors import InvalidPhoneNumberError, InvalidRequestError
from ._base import Resource, build_request, check_sequence

if TYPE_CHECKING:
    from .. import _bulk as bulk
    from .. import _reports as reports
else:
    bulk = LazyModule("llamadapro._bulk")
    reports = LazyModule("llamadapro._reports")

_MAX_LISTED = 20


class Conversations(Resource, section="conversations"):
    """Conversations in sales funnels."""

    async def create(self, **fields: Unpack[models.CreateConversationBody]) -> models.Conversation:
        """Create one conversation (Create); keywords: `CreateConversationBody`.

        Give `contact_id`, or `contact`, whose addresses decide whether a known contact is updated or a new one created.
        Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.conversations.create(
                funnel_id=3, contact={"first_name": "Jane", "phones": ["+56912345678"]}
            )
        """
        return await self._send(api.create, **self._with_numbers(fields))

    async def bulk_create(
        self, items: Iterable[models.BulkSingleConversationCreateParamsDict | Mapping[str, Any]], /
    ) -> bulk.BulkOutcome:
        """Create many conversations in one request (BulkCreate). Never sent twice; for large numbers see `import_many`.

        Valid items are created even where others are not: the result's `issues` pair each item with the service's
        errors and warnings about it, and ``report`` is the service's own. Unknown keys are sent as they are.

        Raises `InvalidPhoneNumberError`, which names all bad numbers, before any network use. Example::

            result = await client.conversations.bulk_create(items)
            print(result.report.counts)
            for item, errors, warnings in result.issues:
                print(item, [error.message for error in errors])
        """
        return await self._bulk(api.bulk_create, items)

    async def bulk_update(
        self, items: Iterable[models.BulkSingleConversationUpdateParamsDict | Mapping[str, Any]], /
    ) -> bulk.BulkOutcome:
        """Change many conversations in one request (BulkUpdate); each item has its ``id``. Else as `bulk_create`.

        Example: ``await client.conversations.bulk_update([{"id": 12, "funnel_status_id": 4}])``
        """
        return await self._bulk(api.bulk_update, items)

    async def import_many(
        self,
        items: reports.Rows,
        *,
        update: bool = False,
        chunk_size: int = 500,
        concurrency: int = 4,
        ledger: str | PathLike[str] | None = None,
        run: str | None = None,
        resend_unknown: bool = False,
        stop_after: int = 50,
        timeout: float | None = None,
        on_progress: Callable[[reports.ImportReport], object] | None = None,
        on_issue: Callable[[reports.ImportIssue], object] | None = None,
        max_issues: int = 1000,
    ) -> reports.ImportReport:
        """Create (BulkCreate) or with `update` change (BulkUpdate) any number of conversations, and never any twice.

        - `items`: any iterable or async iterable of dictionaries, such as a generator over a file of millions. It is
          read no faster than its rows are sent: `concurrency` chunks of `chunk_size` rows are in memory, no more.
          An exception among the rows stands for one that could not be read. A slow source should be an async one.
        - `ledger`: a file (SQLite) that remembers what became of each chunk, so that a run that was interrupted, by
          ``kill -9`` too, is resumed by doing the same again: what is done is not sent again, what certainly was not
          processed is. It must be the same source; another is noticed and refused. Or a ``postgresql://`` URL (extra
          ``postgres``) which several processes may share, each with the same source; `run` names the import in it.
        - `resend_unknown`: also send the chunks again that **may** have been processed. Else they are only listed.
        - `stop_after`: so many failures in a row (429, 5xx, no connection) end the import.
        - `timeout`: seconds for it all. What is then being sent becomes unknown.
        - `on_progress`: called after each chunk with the report so far, always the same object. An exception from it
          stops the import gently: what is being sent is seen through.
        - `on_issue`: called for each row about which there is something to say; the report keeps `max_issues` of them.

        Each row is checked before it is sent, more strictly than in `bulk_create`: an unknown key is a mistake here.
        Bad rows, and those the service refuses, are reported and do not hold up the others; nor does a chunk that
        fails, unless all would: 401, 403, 404, 405, a redirect or a closed client end the import.

        Raises `InvalidRequestError` (options, or a ledger of another source), and `JobError` for whatever else stops
        the import early: it has the report so far as its `report`, and what stopped it as its cause. Example::

            def rows():
                with open("people.csv", newline="") as file:
                    for row in csv.DictReader(file):
                        yield {"funnel_id": 3, "contact": {"first_name": row["name"], "phones": [row["phone"]]}}

            report = await client.conversations.import_many(rows(), ledger="people.ledger")
            print(report)
            for issue in report.issues:
                print(issue.row, issue.reason)
        """
        from llamadapro_api.writing import writer
        from llamadapro_jobs.importing import ImportMany

        if not isinstance(update, bool):
            raise InvalidRequestError(f"update must be True or False, not {update!r}")
        operation: Callable[..., PreparedRequest[models.BulkResult]] = api.bulk_update if update else api.bulk_create
        create, change = models.BulkSingleConversationCreateParamsDict, models.BulkSingleConversationUpdateParamsDict
        write = writer(change if update else create)
        job = ImportMany(
            check=lambda row: write(_with_emails(self._with_numbers(row))),
            send_rows=lambda rows: self._send(operation, conversations=rows),
            session=self._session,
            operation=operation.__name__,
            chunk_size=chunk_size,
            concurrency=concurrency,
            ledger=ledger,
            run=run,
            resend_unknown=resend_unknown,
            stop_after=stop_after,
            timeout=timeout,
            on_progress=on_progress,
            on_issue=on_issue,
            max_issues=max_issues,
        )
        return await job.run(items)

    async def _bulk(
        self, operation: Callable[..., PreparedRequest[models.BulkResult]], items: Iterable[Any]
    ) -> bulk.BulkOutcome:
        check_sequence(items, "items", "dictionaries")
        items = [*items]
        prepared = build_request(operation, conversations=self._all_with_numbers(items))
        return await self._session.send(bulk.with_items(prepared, items))

    def _with_numbers(self, item: Any) -> Any:
        """The item with its contact's numbers in E.164 form: a copy, where that changes any."""
        contact = item.get("contact") if isinstance(item, Mapping) else None
        phones = contact.get("phones") if isinstance(contact, Mapping) else None
        if contact is None or not isinstance(phones, (list, tuple)):
            return item
        numbers: list[str] = []
        bad: list[str] = []
        for place, phone in enumerate(phones):
            try:
                numbers.append(self._session.to_e164(phone))
            except InvalidPhoneNumberError as error:
                bad.append(f"contact.phones[{place}]: {error}")
        if bad:
            raise InvalidPhoneNumberError("; ".join(bad))
        return item if numbers == [*phones] else {**item, "contact": {**contact, "phones": numbers}}

    def _all_with_numbers(self, items: list[Any]) -> list[Any]:
        good: list[Any] = []
        bad: list[str] = []
        for index, item in enumerate(items):
            try:
                good.append(self._with_numbers(item))
            except InvalidPhoneNumberError as error:
                bad.append(f"\n  [{index}].{error}")
        if bad:
            more = f"\n  and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
            listed = "".join(bad[:_MAX_LISTED]) + more
            raise InvalidPhoneNumberError(
                f"{len(bad)} of {len(items)} items have phone numbers that cannot be used:{listed}"
            )
        return good


def _with_emails(item: Any) -> Any:
    """The item, its contact's e-mail addresses checked: of people with the same one the service makes one contact."""
    contact = item.get("contact") if isinstance(item, Mapping) else None
    emails = contact.get("emails") if isinstance(contact, Mapping) else None
    for place, address in enumerate(emails if isinstance(emails, (list, tuple)) else ()):
        if isinstance(address, str):
            try:
                addresses.email(address)
            except InvalidRequestError as error:
                raise InvalidRequestError(f"contact.emails[{place}]: {error}") from None
    return item
