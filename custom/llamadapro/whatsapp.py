"""The parts of a WhatsApp template, for `messages.send_template(components=[…])`.

The API reference names the components (header, body, button) and shows one parameter (text). All else is inferred from
WhatsApp's Cloud API, with its names (`sub_type`, `fallback_value`, `amount_1000`)::

    components=[
        whatsapp.header(whatsapp.image(link="https://example.com/ticket.png")),
        whatsapp.body("Jane", whatsapp.currency("12.50", "USD"), whatsapp.date_time("2 December")),
        whatsapp.button(0, whatsapp.payload("confirm-17")),
    ]
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import cast

from llamadapro_api import models

from .errors import InvalidRequestError


def header(
    parameter: str | models.WhatsAppTemplateMessageParameterDict,
) -> models.WhatsAppTemplateMessageHeaderComponentDict:
    """The header: a text, an image, a video or a document."""
    return {"type_": "header", "parameters": [_parameter(parameter)]}


def body(
    *parameters: str | models.WhatsAppTemplateMessageParameterDict,
) -> models.WhatsAppTemplateMessageBodyComponentDict:
    """The body's variables, in their order; a string is a text."""
    return {"type_": "body", "parameters": [_parameter(parameter) for parameter in parameters]}


def button(
    index: int, parameter: str | models.WhatsAppTemplateMessageParameterDict, *, sub_type: str | None = None
) -> models.WhatsAppTemplateMessageButtonComponentDict:
    """A button, counted from 0: a quick reply with a `payload`, a URL with a text, or the `sub_type` given."""
    filled = _parameter(parameter)
    kind = sub_type or ("quick_reply" if filled.get("type_") == "payload" else "url")
    return {"type_": "button", "sub_type": kind, "index": index, "parameters": [filled]}


def text(value: str) -> models.WhatsAppTemplateMessageParameterDict:
    """A text."""
    return {"type_": "text", "text": value}


def image(*, link: str | None = None, media_id: str | None = None) -> models.WhatsAppTemplateMessageParameterDict:
    """An image, by its public URL or by the id that uploading it gave."""
    return {"type_": "image", "image": _media(link, media_id)}


def video(*, link: str | None = None, media_id: str | None = None) -> models.WhatsAppTemplateMessageParameterDict:
    """A video, by its public URL or by the id that uploading it gave."""
    return {"type_": "video", "video": _media(link, media_id)}


def document(
    *, link: str | None = None, media_id: str | None = None, file_name: str | None = None
) -> models.WhatsAppTemplateMessageParameterDict:
    """A document, by its public URL or by the id that uploading it gave, and the name it shows under."""
    built = cast("models.WhatsAppTemplateMessageDocumentDict", _media(link, media_id))  # the same, with a name
    if file_name is not None:
        built["filename"] = file_name
    return {"type_": "document", "document": built}


def currency(
    amount: str | int | float | Decimal, code: str, *, fallback: str | None = None
) -> models.WhatsAppTemplateMessageParameterDict:
    """An amount of money: at most three decimals, `code` as in ISO 4217.

    `fallback` is what is shown where the amount cannot be formatted; else the amount with its code.
    """
    try:
        thousandths = Decimal(str(amount)) * 1000
    except InvalidOperation:
        raise InvalidRequestError(f"{amount!r} is not an amount of money") from None
    if not thousandths.is_finite() or thousandths != thousandths.to_integral_value():
        raise InvalidRequestError(f"{amount!r} cannot be sent: amounts have at most three decimals")
    if not isinstance(code, str) or len(code) != 3 or not (code.isascii() and code.isalpha()):
        raise InvalidRequestError(f"{code!r} is not a currency code such as USD or CLP")
    shown = fallback if fallback is not None else f"{amount} {code.upper()}"
    return {
        "type_": "currency",
        "currency": {"fallback_value": shown, "code": code.upper(), "amount_1000": int(thousandths)},
    }


def date_time(shown: str) -> models.WhatsAppTemplateMessageParameterDict:
    """A point in time, in the words that are to be shown."""
    return {"type_": "date_time", "date_time": {"fallback_value": shown}}


def payload(value: str) -> models.WhatsAppTemplateMessageParameterDict:
    """What a quick-reply button sends back when it is pressed."""
    return {"type_": "payload", "payload": value}


def _parameter(
    parameter: str | models.WhatsAppTemplateMessageParameterDict,
) -> models.WhatsAppTemplateMessageParameterDict:
    if not isinstance(parameter, (str, Mapping)):
        raise InvalidRequestError(
            f"a parameter is a text, or one of this module's such as currency(…), not {parameter!r}"
        )
    return text(parameter) if isinstance(parameter, str) else parameter


def _media(link: str | None, media_id: str | None) -> models.WhatsAppTemplateMessageMediaDict:
    if (link is None) == (media_id is None):
        raise InvalidRequestError("give link= or media_id=, one of the two")
    return {"link": link} if link is not None else {"id": media_id or ""}
