"""WhatsApp messages and media (sections v1/messages and v1/whatsapp)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack

from llamadapro_api import api, models
from llamadapro_api.errors import DeserializationError
from llamadapro_api.types import PreparedRequest

from .._lazy import LazyModule
from .._polling import check_statuses, has_status, poll
from ..errors import InvalidRequestError
from ._base import Resource, build_request, check_sequence, drop_none

if TYPE_CHECKING:
    from .. import _reports as reports
    from .._media import upload
else:
    reports = LazyModule("llamadapro._reports")
    upload = LazyModule("llamadapro._media.upload")


END_STATUSES = frozenset({"delivered", "read", "failed"})
"""Statuses of a message that has arrived or never will: WhatsApp's, since the API reference shows only ``pending``."""


class Messages(Resource, section="messages"):
    """WhatsApp messages. Numbers are E.164, or national with the client's `default_region`.

    A message is never sent twice: where an answer was lost, the error has `may_have_been_processed` set.
    """

    async def get(self, message_id: int | str, /) -> models.Message:
        """Get one message with its status (GetMessage); raises `NotFoundError` if there is none.

        Example: ``message = await client.messages.get(17)``
        """
        return await self._send(api.get_message, message_id)

    async def send(self, **fields: Unpack[models.CreateMessageBody]) -> models.Message:
        """Send a free-form message of any type (CreateMessage); keywords: `CreateMessageBody`.

        Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.messages.send(
                to_phone_number="+14155552671", from_phone_number="+56912345678",
                type_="document", file_id=media.file_id, content="Our offer",
            )
        """
        self._session.normalize(fields, "from_phone_number", "to_phone_number")
        return await self._send(api.create_message, **fields)

    async def send_text(
        self, *, to: str, text: str, from_: str, **options: Unpack[models.CreateMessageOptions]
    ) -> models.Message:
        """Send a text (CreateMessage with type ``text``). Further keywords: `CreateMessageOptions`.

        Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi Jane")
        """
        to, from_ = self._normalize(to=to, from_=from_)
        return await self._send(
            api.create_message, to_phone_number=to, from_phone_number=from_, content=text, type_="text", **options
        )

    async def send_template(
        self,
        *,
        to: str,
        from_: str,
        template_name: str,
        language_code: str,
        variables: Sequence[str | models.WhatsAppTemplateMessageVariableDict] | None = None,
        components: Sequence[Mapping[str, Any]] | None = None,
        user_id: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> models.Message:
        """Send a template that WhatsApp has approved (CreateTemplateMessage).

        Give `variables` (the texts of the body, in their order) or `components` (headers, buttons, media), not both;
        a template without any takes neither. Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.messages.send_template(
                to="+14155552671", from_="+56912345678",
                template_name="welcome", language_code="en", variables=["Jane"],
            )
        """
        if variables is not None and components is not None:
            raise InvalidRequestError("give variables or components, not both: the service takes one of the two")
        options: dict[str, Any] = {"components": components, "user_id": user_id, "custom_fields": custom_fields}
        if variables is not None:
            check_sequence(variables, "variables", "texts in their order")
            options["variables"] = [{"value": item} if isinstance(item, str) else item for item in variables]
        to, from_ = self._normalize(to=to, from_=from_)
        return await self._send(
            api.create_template_message,
            to_phone_number=to,
            from_phone_number=from_,
            template_name=template_name,
            language_code=language_code,
            **drop_none(options),
        )

    async def send_media(
        self,
        *,
        to: str,
        from_: str,
        file: upload.File,
        type: upload.MediaType | None = None,
        caption: str | None = None,
        file_name: str | None = None,
        content_type: str | None = None,
        max_bytes: int | None = None,
        tags: Mapping[str, str] | None = None,
        user_id: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> models.Message:
        """Send a file with an optional caption: uploaded (UploadMedia), then sent (CreateMessage).

        - `file`: a path, bytes, or a file opened in binary mode.
        - `content_type`: inferred from the file name, else from the first bytes; `type` (image, audio, video, document,
          sticker) is inferred from it.
        - `max_bytes`: replaces WhatsApp's limit for the type (image 5 MiB, audio and video 16 MiB, document 100 MiB,
          sticker 500 KiB).

        A large file may need more time: ``client.with_options(timeout=300, deadline=300)``.

        Raises `InvalidRequestError` for a file that is too large or of unknown type, and `OSError` for one that cannot
        be read, before any network use. If the message fails after the upload, the error has a note with the
        ``file_id``, so that `send` can send it without another upload. Example::

            await client.messages.send_media(to="+14155552671", from_="+56912345678", file="offer.pdf")
        """
        to, from_ = self._normalize(to=to, from_=from_)
        options = {"user_id": user_id, "custom_fields": custom_fields}

        def message(file_id: str, kind: upload.MediaType) -> PreparedRequest[models.Message]:
            return build_request(
                api.create_message,
                to_phone_number=to,
                from_phone_number=from_,
                content=caption or "",
                type_=kind,
                file_id=file_id,
                **drop_none(options),
            )

        message("", type or "document")  # what cannot be sent is refused before anything is uploaded
        read = await upload.read_upload(
            file, type=type, file_name=file_name, content_type=content_type, max_bytes=max_bytes
        )
        uploading = build_request(
            api.upload_media,
            from_phone_number=from_,
            file_name=read.file_name,
            content_type=read.content_type,
            content=read.content,
            **drop_none({"tags": tags}),
        )
        file_id = await self._session.send(reading_file_id(uploading))
        try:
            return await self._session.send(message(file_id, read.type))
        except BaseException as error:
            error.add_note(
                f"The file is uploaded: messages.send(file_id={file_id!r}, type_={read.type!r}, …) sends it."
            )
            raise

    async def upload_media(
        self, *, file: upload.File | None = None, max_bytes: int | None = None, **fields: Unpack[models.UploadMediaBody]
    ) -> models.Media:
        """Upload media for WhatsApp (UploadMedia); keywords: `UploadMediaBody`. Never uploaded twice.

        Pass one of three: `file_id` alone, for a file that the service has; `file` (a path, bytes, or a file opened in
        binary mode), whose name and type are inferred as in `send_media`; or `file_name`, `content_type` and `content`
        (base64). `max_bytes` replaces WhatsApp's limit.

        Raises `InvalidRequestError` before any network use if it is none of the three, or too large. Example::

            media = await client.messages.upload_media(file="logo.png", from_phone_number="+56912345678")
        """
        self._session.normalize(fields, "from_phone_number")
        build_request(api.upload_media, **fields)  # an unknown keyword or a wrong type comes before what is missing
        given = {"file"} if file is not None else set()
        given |= {name for name in ("file_id", "file_name", "content_type", "content") if fields.get(name) is not None}
        if file is not None and not given & {"file_id", "content"}:
            read = await upload.read_upload(
                file,
                file_name=fields.get("file_name"),
                content_type=fields.get("content_type"),
                max_bytes=max_bytes,
            )
            fields = {
                **fields,
                "file_name": read.file_name,
                "content_type": read.content_type,
                "content": read.content,
            }
        elif given == {"file_name", "content_type", "content"}:
            upload.check_size(
                len(fields.get("content", "")) * 3 // 4, upload.kind_of(fields.get("content_type", "")), max_bytes
            )
        elif given != {"file_id"}:
            raise InvalidRequestError(
                "give file_id alone, or file, or all of file_name, content_type and content (base64); "
                f"this has {', '.join(sorted(given)) or 'none of them'}"
            )
        return await self._send(api.upload_media, **fields)

    async def send_many(
        self,
        rows: reports.Rows | None,
        *,
        operation: Literal["send_template", "send_text", "send"] | None = None,
        common: Mapping[str, Any] | None = None,
        key: str | Callable[[Any], str] = "to",
        ledger: str | PathLike[str] | None = None,
        run: str | None = None,
        rate: float | None = None,
        concurrency: int = 20,
        resend_unknown: bool = False,
        max_attempts: int = 5,
        stop_after: int = 50,
        timeout: float | None = None,
        on_progress: Callable[[reports.SendReport], object] | None = None,
        on_issue: Callable[[reports.SendIssue], object] | None = None,
        max_issues: int = 1000,
    ) -> reports.SendReport:
        """Send a message for each row, and none twice, whatever interrupts it (CreateTemplateMessage, CreateMessage).

        - `rows`: any iterable or async iterable of dictionaries, the keywords of `operation`; read as a stream. None
          works on what is pending in a run that another process has begun.
        - `operation`: ``"send_template"`` (if not given), ``"send_text"`` or ``"send"``; `common` are the keywords that
          all rows share.
        - `key`: what "once" means: a keyword, whose numbers compare as E.164, or a function of the row.
        - `ledger`: a file (SQLite) that remembers each row, or a ``postgresql://`` URL (extra ``postgres``) that any
          number of processes share; `run` names the campaign in it. A ledger of another campaign is refused.
        - `rate`: messages per second, over all processes of the run.
        - `concurrency`: how many are being sent at once, by this process.
        - `resend_unknown`: also send the rows again that **may** have been sent. Else they are only listed.
        - `max_attempts`: how often a row may be answered with 429 before it counts as refused.
        - `stop_after`: so many failures in a row (429, 5xx, no answer) stop the run; 401, 403, 404 and redirects do so
          at once.
        - `timeout`: seconds for it all. What is then being sent becomes unknown.
        - `on_progress`: called now and then with the report so far. An exception from it stops the run gently: what is
          being sent is seen through.
        - `on_issue`: called for each row that this process could not send; the report keeps `max_issues` of the run's.

        A row is written down before it is sent. If the process dies in between, it is *unknown*, and not sent again.
        Rows that cannot be sent are *bad*, and do not hold up the others.

        Raises `InvalidRequestError` (options, or the ledger of another campaign), and `JobError` for what stops the run
        early: it has the report so far as its `report`, and what stopped it as its cause. Example::

            people = [{"to": "+14155552671", "variables": ["Jane"]}]
            report = await client.messages.send_many(
                people,
                common={"from_": "+56912345678", "template_name": "welcome", "language_code": "en"},
                ledger="people.ledger",
                rate=20,
            )
            print(report)
        """
        from llamadapro_jobs.sending import SendMany

        dry = Messages(self._session.dry_run())
        job = SendMany(
            session=self._session,
            builders={"send_template": dry.send_template, "send_text": dry.send_text, "send": dry.send},
            operation=operation,
            common=common,
            key=key,
            ledger=ledger,
            run=run,
            rate=rate,
            concurrency=concurrency,
            resend_unknown=resend_unknown,
            max_attempts=max_attempts,
            stop_after=stop_after,
            timeout=timeout,
            on_progress=on_progress,
            on_issue=on_issue,
            max_issues=max_issues,
        )
        return await job.run(rows)

    async def wait(
        self,
        message_id: int | str,
        /,
        *,
        timeout: float = 60.0,
        until: Collection[str] = END_STATUSES,
        on_status: Callable[[models.Message], object] | None = None,
    ) -> models.Message:
        """Wait until a message has arrived or failed, and return it (polls GetMessage at growing intervals).

        - `timeout`: seconds.
        - `until`: the statuses that end the wait (`END_STATUSES`, inferred). A message may pass a status unseen, so
          name the later ones and ``failed`` too; an unknown status neither ends the wait nor is an error.
        - `on_status`: called with the message whenever its status has changed.

        Raises `WaitTimeoutError`, whose `last` is the message as last seen. Example::

            message = await client.messages.wait(message.id, timeout=300, until=("read", "failed"))
        """
        check_statuses(until, "until")
        return await poll(
            lambda: self._send(api.get_message, message_id),
            lambda message: has_status(message, until),
            timeout=timeout,
            clock=self._session.clock,
            what=f"message {message_id} to arrive",
            on_status=on_status,
        )


def reading_file_id(prepared: PreparedRequest[models.Media]) -> PreparedRequest[str]:
    """The same upload, whose answer is read as the id that a message needs; one without an id is invalid."""

    def read(answer: Any) -> str:
        file_id = prepared.read(answer).file_id
        if not isinstance(file_id, str) or not file_id:
            raise DeserializationError("the uploaded file has no id").at("fileId")
        return file_id

    return prepared.with_reader(read)
