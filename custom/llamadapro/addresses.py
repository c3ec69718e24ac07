"""Addresses of contacts: what `contacts.create(addresses=[…])` takes, checked.

The service is retiring a contact's `phone` and `email` in favor of its `addresses`. It names the channels WHATSAPP and
PHONE; EMAIL is inferred from the e-mail addresses in its own examples of `addresses`.
"""

from __future__ import annotations

import re

from llamadapro_api import models

from .errors import InvalidRequestError
from .phone import to_e164

_IN_NO_ADDRESS = re.compile(r"[\s,;<>@]")
"""What stands between several addresses, or around one; nobody's own has it."""


def phone(number: str, region: str | None = None) -> models.NewContactAddressDict:
    """A telephone number; raises `InvalidPhoneNumberError` unless it is E.164, or national in `region`."""
    return {"channel_type": "PHONE", "address": to_e164(number, region)}


def whatsapp(number: str, region: str | None = None) -> models.NewContactAddressDict:
    """A number on WhatsApp, checked like `phone`."""
    return {"channel_type": "WHATSAPP", "address": to_e164(number, region)}


def email(address: str) -> models.NewContactAddressDict:
    """An e-mail address. Only its form is checked, not whether it exists."""
    found = address.strip() if isinstance(address, str) else ""
    local, _, domain = found.rpartition("@")
    if not (local and domain) or _IN_NO_ADDRESS.search(local + domain) or not found.isprintable():
        raise InvalidRequestError(f"{address!r} is not an e-mail address: it must be like name@example.com")
    return {"channel_type": "EMAIL", "address": found}
