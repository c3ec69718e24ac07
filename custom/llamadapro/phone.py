"""Phone numbers: E.164, or refused with the reason. The digits sent are always the digits that were typed.

Why so strict: the reference demands E.164, and a number that is silently "repaired" rings at a stranger's. Why not
stricter: its own examples (`+56912345678`, `+1234567890`) are E.164 but valid in no numbering plan, and WhatsApp ids
still carry the old Mexican 521; so syntax is the default, and `strict=True` asks for more.

National numbers are not given to `phonenumbers.parse`: it drops extensions, carrier codes, prefixes and country codes
without a +, and takes "0112015550123" in the US for Egypt. Only its data is used: the digits as typed, or without the
region's national prefix, must have a possible length and fit the plan's general pattern, only one of the two may, and
they must not start like a call abroad (00, or 011 in the US), nor with the country's own code and a second such number
behind it. That is "possible"; whether it is assigned is `strict`.
For the API's five countries (in brackets what `parse` makes of the old forms, phonenumberslite 9.0.42):

- CL: 9 digits, no prefix. Old 0, 02, 09 refused ["09 6123 4567" is +560961234567 and "possible"]; so are 8 digits.
- MX: 10 digits, no prefix. Old 01, 044, 045 and 1 refused [kept, too long]; so are 7 or 8 local digits ["possible"].
- CO: 10 digits, prefix 0. Old 03, 05, 07, 09 refused [dropped]; so is "1 2345678", now 601 2345678 ["possible"].
- PE: 9 digits from 9, or area and number in 8; prefix 0, so "01 1234567" and "044 123456" are right [agrees].
- US: 10 digits, area code from 2 to 9; prefix 1 [an area code from 1 is "possible"]; 7 local digits refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from .errors import InvalidPhoneNumberError

__all__ = ["to_e164", "to_e164_many"]

_SEPARATORS = str.maketrans("", "", " -.()")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRUNK_ZERO = re.compile(r" *\(?\+[0-9]{1,3}\)?[ .-]*\(0\)[^()]*")
_PREFIX = re.compile(r"\s*([A-Za-z]+):")
_EXTENSION = re.compile(r"(?i)[0-9)][\s.,;]*(?:extension|extn?|x|anexo|interno|int|#)[\s.:=]*[0-9]+\s*\Z")
_MAX_LISTED = 20
_RULES = {
    "CL": "a Chilean number has 9 digits and no 0, 02 or 09 in front; old 8-digit mobiles have got a leading 9",
    "MX": "a Mexican number has 10 digits, without the old 01, 044, 045 or 1 in front",
    "CO": "a Colombian number has 10 digits, without the old 03, 05, 07, 09 in front; the old 1 2345678 is 601 2345678",
    "PE": "a Peruvian number has 9 digits from 9 on, or area and number in 8, with or without a 0 in front",
    "US": "a US number has 10 digits with the area code, which starts with 2 to 9, with or without a 1 in front",
}


def to_e164(value: str, region: str | None = None, *, strict: bool = False) -> str:
    """The number in E.164 form, such as ``+56912345678``; anything doubtful is refused, nothing is guessed.

    The service demands E.164 for every number that it sends to or calls (CreateMessage, CreateTemplateMessage, …).

    Args:
        value: An international number, with ``+`` in front and 7 to 15 digits; or a national one if `region` is given.
            Spaces, hyphens, dots and parentheses are removed. Nothing else is: no extension, prefix or letter.
        region: The ISO 3166 alpha-2 code of the country whose national numbers are let in, such as ``"CL"``.
        strict: Ask the numbering plan too: the number must be valid in its country, as far as phonenumbers knows.

    Raises:
        InvalidPhoneNumberError: The number cannot be used, or the region is not one. The message says why.

    Example:
        >>> to_e164("+56 9 1234-5678")
        '+56912345678'
        >>> to_e164("(201) 555-0123", "US")
        '+12015550123'
    """
    region = _region_code(region)
    if type(value) is str and not strict and _E164.fullmatch(value):
        return value  # as most are
    if not isinstance(value, str):
        raise _refused(value, f"it must be a str such as '+56912345678', not {type(value).__name__}")
    bare = value.translate(_SEPARATORS)
    digits = bare.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        raise _refused(value, _odd(value, digits))
    if not bare.startswith("+"):
        bare = _from_national(value, digits, region)
    elif _TRUNK_ZERO.fullmatch(value):
        raise _refused(value, "whether the (0) belongs to it differs by country: write it as dialled from abroad")
    elif digits[0] == "0":
        raise _refused(value, "no country code starts with 0: write + and the country code, such as +56")
    if not _E164.fullmatch(bare):
        many = "; if these are several numbers, give one at a time" if len(bare) > 16 else ""
        raise _refused(value, f"{bare[:24]} has {len(bare) - 1} digits, E.164 has 7 to 15 with the country code{many}")
    if strict and not _is_valid(bare):
        raise _refused(value, f"the numbering plan has no valid number {bare}; without strict=True its form would do")
    return bare


def to_e164_many(values: Iterable[str], region: str | None = None, *, strict: bool = False) -> list[str]:
    """`to_e164` for many numbers, in their order; all bad ones are reported at once.

    Raises:
        InvalidPhoneNumberError: One for all bad numbers, with index and reason of the first 20.

    Example:
        >>> to_e164_many(["+56912345678", "2 2123 4567"], "CL")
        ['+56912345678', '+56221234567']
    """
    if isinstance(values, str):
        raise InvalidPhoneNumberError(f"to_e164_many takes a list of numbers; for the one {_show(values)} use to_e164")
    good: list[str] = []
    listed: list[str] = []
    count = -1
    region = _region_code(region)
    for count, value in enumerate(values):
        if region is not None and isinstance(value, str) and "+" not in value:
            _plan(region)  # an unknown region is one mistake, not one per number
        try:
            good.append(to_e164(value, region, strict=strict))
        except InvalidPhoneNumberError as error:
            if count - len(good) < _MAX_LISTED:
                listed.append(f"\n  [{count}] {error}")
    if bad := count + 1 - len(good):
        more = f"\n  and {bad - len(listed)} more" if bad > len(listed) else ""
        raise InvalidPhoneNumberError(f"{bad} of {count + 1} phone numbers cannot be used:{''.join(listed)}{more}")
    return good


class _Plan(NamedTuple):
    code: str
    prefix: str
    abroad: re.Pattern[str]
    pattern: re.Pattern[str]
    lengths: tuple[int, ...]

    def fits(self, digits: str) -> bool:
        return len(digits) in self.lengths and self.pattern.fullmatch(digits) is not None

    def after_code(self, digits: str) -> str | None:
        """The national number behind the country code, with a national prefix or without; None if there is none."""
        if not digits.startswith(self.code):
            return None
        rest = digits.removeprefix(self.code)
        candidates = (rest,) if self.prefix == self.code else (rest, rest.removeprefix(self.prefix))
        return next((number for number in candidates if self.fits(number)), None)


@functools.cache
def _plan(region: str) -> _Plan:
    import phonenumbers  # 60 to 180 ms: paid by those who need it

    own: Any = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if own is None:
        raise InvalidPhoneNumberError(f"region {region!r} is no country with a numbering plan: use a code such as 'CL'")
    # Countries that share a calling code share one plan: a Puerto Rican types the numbers of all of +1.
    main = phonenumbers.region_code_for_country_code(own.country_code)
    shared: Any = phonenumbers.PhoneMetadata.metadata_for_region(main, None)
    return _Plan(
        code=str(own.country_code),
        prefix=own.national_prefix or "",
        abroad=re.compile(own.international_prefix or "00"),
        pattern=re.compile(shared.general_desc.national_number_pattern),
        lengths=shared.general_desc.possible_length,
    )


def _from_national(value: str, digits: str, region: str | None) -> str:
    # Not read as +: behind 00 a carrier's code may follow, and not everywhere does it lead abroad.
    abroad = "it starts like a call abroad: write + and the country code instead of that prefix"
    if digits.startswith("00"):
        raise _refused(value, abroad)
    if region is None:
        raise _refused(value, "it has no + and no region is known: write + and the country code, or give a region")
    plan = _plan(region)
    if plan.abroad.match(digits):
        raise _refused(value, abroad)
    readings = {f"{plan.code}{number}" for number in (digits, digits.removeprefix(plan.prefix)) if plan.fits(number)}
    behind_code = plan.after_code(digits)
    if len(readings) == 1 and (behind_code is None or readings == {plan.code + behind_code}):
        return f"+{readings.pop()}"
    if behind_code is not None:
        full = f"+{plan.code}{behind_code}"
        raise _refused(value, f"it seems to carry the country code {plan.code} already: if so, write {full}")
    why = f"it {'could be two different numbers' if readings else 'is not possible as a national number'} in {region}"
    raise _refused(value, f"{why}: {_RULES.get(region, 'write it with + and the country code')}")


def _is_valid(number: str) -> bool:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:  # no such country code
        return False
    # parse drops what it takes for a national prefix (+1 1 201…): then its verdict is on another number.
    same = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number
    return same and phonenumbers.is_valid_number(parsed)


def _region_code(region: object) -> str | None:
    if region is None:
        return None
    if not (isinstance(region, str) and re.fullmatch("[A-Za-z]{2}", region)):
        raise InvalidPhoneNumberError(f"region must be an ISO 3166 alpha-2 code such as 'CL', not {_show(region)}")
    return region.upper()


def _odd(value: str, digits: str) -> str:
    """Why `digits`, which are not all digits, cannot be a number."""
    odd = next((char for char in digits if char not in "0123456789"), None)
    if odd is None:
        return "there is no digit in it"
    if prefix := _PREFIX.match(value):
        return f"remove the prefix {prefix[1][:20]}:"
    if _EXTENSION.search(value):
        return "an extension cannot be sent: remove it"
    place = f"{odd!r} (U+{ord(odd):04X})"
    if odd.isascii() and odd.isalpha():
        return f"it has letters: {place}"
    if odd in "+,;/|&":
        return f"{place} cannot stand here: if these are several numbers, give one at a time"
    if odd.isnumeric():
        return f"{place} is a digit of another script or form: write 0 to 9"
    if not odd.isprintable():
        return f"it has a control or invisible character, {place}: remove it"
    return f"{place} cannot stand here: only digits, spaces, hyphens, dots, parentheses and one leading + can"


def _refused(value: object, reason: str) -> InvalidPhoneNumberError:
    return InvalidPhoneNumberError(f"{_show(value)} is not a phone number that can be used: {reason}")


def _show(value: object) -> str:
    try:
        shown = repr(value[:80] if isinstance(value, str) else value)
    except Exception:  # a broken __repr__ must not hide the real mistake
        shown = f"<{type(value).__name__}>"
    return shown if len(shown) <= 60 else shown[:57] + "..."
