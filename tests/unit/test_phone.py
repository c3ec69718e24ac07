"""Promise 3: a number goes out as it was typed, in E.164, or not at all.

`phone_table.csv` holds the cases: `value` with Python escapes, `expected` the E.164 form or words of the reason.
"""

from __future__ import annotations

import csv
import enum
import os
import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from llamadapro.errors import InvalidPhoneNumberError, InvalidRequestError
from llamadapro.phone import to_e164, to_e164_many

with (Path(__file__).parent / "phone_table.csv").open(encoding="ascii", newline="") as file:
    TABLE = list(csv.DictReader(file))

FIVE = ("CL", "MX", "CO", "PE", "US")
PREFIX = {"CL": "", "MX": "", "CO": "0", "PE": "0", "US": "1"}
CODE = {"CL": "56", "MX": "52", "CO": "57", "PE": "51", "US": "1"}
E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)

numbers = st.from_regex(E164, fullmatch=True)
regions = st.sampled_from((None, *FIVE))
texts = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="0123456789+ -.()x\u0663\uff11\u200b\n", max_size=24),
    st.builds(
        "{}{}".format,
        st.sampled_from(("", "+", "0", "00", "1", "011", "03", "044")),
        st.from_regex(r"[0-9]{6,12}", fullmatch=True),
    ),
)


def unescaped(value: str) -> str:
    return value.encode().decode("unicode_escape")


@pytest.mark.parametrize("row", TABLE, ids=[f"{n + 2}:{row['value']}:{row['region']}" for n, row in enumerate(TABLE)])
def test_table(row: dict[str, str]) -> None:
    value, expected = unescaped(row["value"]), row["expected"]
    if expected.startswith("+"):
        assert to_e164(value, row["region"] or None, strict=bool(row["strict"])) == expected
        return
    with pytest.raises(InvalidPhoneNumberError) as caught:
        to_e164(value, row["region"] or None, strict=bool(row["strict"]))
    assert expected in reason(caught.value, value)


def reason(error: Exception, value: str) -> str:
    """The message without the number in front, so that a word of the number is not taken for the reason."""
    start = f"{value!r} is not a phone number that can be used: "
    text = str(error)
    assert text.startswith((start, "region ")), text
    return text.removeprefix(start)


def test_table_is_large_and_has_no_row_twice() -> None:
    assert len(TABLE) >= 200
    assert max(Counter((row["value"], row["region"], row["strict"]) for row in TABLE).values()) == 1
    per_region = Counter(row["region"] for row in TABLE)
    assert all(per_region[region] >= 15 for region in FIVE)
    assert {row["strict"] for row in TABLE} == {"", "strict"}


# Properties


@settings(max_examples=200, deadline=None)
@given(number=numbers, region=regions)
def test_e164_stays_as_it_is(number: str, region: str | None) -> None:
    assert to_e164(number, region) == number
    assert to_e164(to_e164(number, region)) == number


@settings(max_examples=200, deadline=None)
@given(number=numbers, gaps=st.lists(st.text(alphabet=" -.()", max_size=2), min_size=17, max_size=17))
def test_separators_change_nothing(number: str, gaps: list[str]) -> None:
    typed = "".join(gap + char for gap, char in zip(gaps, number, strict=False)) + gaps[-1]
    assume("(0)" not in typed)  # see the table: it is refused behind a country code
    assert to_e164(typed) == number


@settings(max_examples=300, deadline=None)
@given(text=texts, region=regions, strict=st.booleans())
@example(text="09 6123 4567", region="CL", strict=False)
@example(text="03 321 123 4567", region="CO", strict=False)
@example(text="0112015550123", region="US", strict=False)
@example(text="\ud800", region=None, strict=False)
def test_any_text_is_a_number_as_typed_or_refused(text: str, region: str | None, strict: bool) -> None:
    number, refusal = None, None
    try:
        number = to_e164(text, region, strict=strict)
    except InvalidPhoneNumberError as error:
        refusal = error
    if number is None:
        assert refusal is not None
        assert len(str(refusal)) < 300
        assert refusal.__cause__ is refusal.__context__ is None
        return
    assert E164.fullmatch(number)
    assert set(text) <= set("0123456789+ -.()")
    typed = re.sub("[^0-9]", "", text)
    if "+" in text:
        assert number == f"+{typed}"
    else:
        assert region is not None
        national = number.removeprefix(f"+{CODE[region]}")
        assert typed in (national, PREFIX[region] + national)


@settings(max_examples=300, deadline=None)
@given(region=st.sampled_from(FIVE), prefix=st.sampled_from(("", "0", "1", "00", "01", "09", "03")), data=st.data())
def test_national_numbers_are_possible_and_the_ones_the_library_means(region: str, prefix: str, data: Any) -> None:
    typed = prefix + data.draw(st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True))
    try:
        number = to_e164(typed, region)
    except InvalidPhoneNumberError:
        return
    parsed = phonenumbers.parse(number)
    assert phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number
    if not (region == "CO" and typed.startswith("0")):  # there it drops old carrier codes too
        assert (
            phonenumbers.is_number_match(phonenumbers.parse(typed, region), parsed)
            == phonenumbers.MatchType.EXACT_MATCH
        )


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.one_of(numbers, texts), max_size=30), region=regions)
def test_many_agrees_with_one_by_one(values: list[str], region: str | None) -> None:
    good: list[str] = []
    bad: list[str] = []
    for index, value in enumerate(values):
        try:
            good.append(to_e164(value, region))
        except InvalidPhoneNumberError as error:
            bad.append(f"[{index}] {error}")
    if not bad:
        assert to_e164_many(values, region) == good
        return
    with pytest.raises(InvalidPhoneNumberError) as caught:
        to_e164_many(values, region)
    message = str(caught.value)
    assert message.startswith(f"{len(bad)} of {len(values)} ")
    assert [line in message for line in bad] == [n < 20 for n in range(len(bad))]


def test_every_country_of_the_world() -> None:
    """The library's example numbers, as written inside each country: the right number or none."""
    refused: set[str] = set()
    right = 0
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in range(phonenumbers.PhoneNumberType.VOICEMAIL + 1):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            typed = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            try:
                found = to_e164(typed.replace("/", " "), region)
            except InvalidPhoneNumberError:
                refused.add(region)
            else:
                right += 1
                assert found == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), (region, typed)
    assert right > 1300
    # Argentina inserts a digit, Belarus has two prefixes; the others have numbers too short for E.164, or local ones.
    assert refused <= {"AR", "BY", "CA", "IR"}


# What is not text, and text of other types


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Line(enum.StrEnum):
    SALES = "+56 912345678"


@pytest.mark.parametrize(
    "value",
    [
        None,
        56912345678,
        5.6e10,
        True,
        b"+56912345678",
        ["+56912345678"],
        Broken(),
        pytest.param(10**5000, id="huge"),
        object(),
    ],
)
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidPhoneNumberError, match=f"must be a str .*not {type(value).__name__}") as caught:
        to_e164(value)
    assert len(str(caught.value)) < 200


def test_a_kind_of_str_gives_a_plain_str() -> None:
    assert type(to_e164(Line.SALES)) is str
    assert to_e164(Line.SALES) == "+56912345678"


# Regions


@pytest.mark.parametrize("region", ["", "CHL", "C", "56", "001", "es_CL", "C\n", "\u0421L", 56, b"CL", ["CL"]])
def test_malformed_region(region: Any) -> None:
    for value in ("961234567", "+56961234567"):
        with pytest.raises(InvalidPhoneNumberError, match=r"region must be an ISO 3166 alpha-2 code such as 'CL', not"):
            to_e164(value, region)
    with pytest.raises(InvalidPhoneNumberError, match=r"^region must be"):
        to_e164_many([], region)


def test_unknown_region_matters_only_to_a_national_number() -> None:
    assert to_e164("+56961234567", "XX") == "+56961234567"
    with pytest.raises(InvalidPhoneNumberError, match=r"^region 'XX' is no country"):
        to_e164("961234567", "XX")
    with pytest.raises(InvalidPhoneNumberError, match=r"^region 'XX' is no country"):
        to_e164_many(["+56961234567", *["961234567"] * 50], "XX")


# Many at once


def test_many_keeps_the_order_and_takes_any_iterable() -> None:
    assert to_e164_many(iter(["+56 912345678", "961234567", "2 2123 4567"]), "CL") == [
        "+56912345678",
        "+56961234567",
        "+56221234567",
    ]
    assert to_e164_many([]) == []


def test_many_reports_all_bad_ones_at_once() -> None:
    with pytest.raises(InvalidPhoneNumberError) as caught:
        to_e164_many(["+56961234567", "tel:+56961234567", "+56961234567", "961234567"])
    first, second, third = str(caught.value).split("\n")
    assert first == "2 of 4 phone numbers cannot be used:"
    assert second.startswith("  [1] 'tel:+56961234567' is not a phone number")
    assert third.startswith("  [3] '961234567' is not a phone number")


@pytest.mark.parametrize(("bad", "last"), [(20, "[19]"), (21, "and 1 more"), (5000, "and 4980 more")])
def test_many_lists_at_most_twenty(bad: int, last: str) -> None:
    with pytest.raises(InvalidPhoneNumberError) as caught:
        to_e164_many(["no"] * bad)
    lines = str(caught.value).split("\n")
    assert lines[-1].strip().startswith(last)
    assert len(lines) == 1 + 20 + (bad > 20)


def test_many_passes_strict_on() -> None:
    with pytest.raises(InvalidPhoneNumberError, match=r"^1 of 2 "):
        to_e164_many(["+56961234567", "+56912345678"], strict=True)


def test_one_number_given_to_many_is_not_taken_apart() -> None:
    with pytest.raises(InvalidPhoneNumberError, match="takes a list"):
        to_e164_many("+56961234567")


# A country's own code in front


def examples(region: str) -> set[str]:
    """National numbers of each kind that the country has."""
    found = (phonenumbers.example_number_for_type(region, kind) for kind in phonenumbers.PhoneNumberType.values())
    return {phonenumbers.national_significant_number(number) for number in found if number is not None}


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_number_with_its_own_country_code_and_no_plus_is_refused_in_every_country(region: str) -> None:
    code = str(phonenumbers.country_code_for_region(region))
    prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
    for number in examples(region):
        for typed in (f"{code}{number}", f"{code} {prefix}{number}"):
            if prefix == code and typed == f"{code}{number}" and len(number) == 10:
                assert to_e164(typed, region) == f"+{code}{number}"  # one number, however it is read
                continue
            with pytest.raises(InvalidPhoneNumberError, match=r"country code|abroad|not possible|two different"):
                to_e164(typed, region)


def test_national_numbers_are_still_taken_in_every_country() -> None:
    numbers = [(region, number) for region in phonenumbers.SUPPORTED_REGIONS for number in examples(region)]
    refused = []
    for region, number in numbers:
        try:
            assert to_e164(number, region) == f"+{phonenumbers.country_code_for_region(region)}{number}"
        except InvalidPhoneNumberError:
            refused.append((region, number))
    assert len(numbers) > 1000
    assert sorted(refused) == [("CA", "3101234"), ("IR", "9601")]  # seven digits in Canada; too short for E.164


# Messages


def test_a_message_teaches() -> None:
    with pytest.raises(InvalidPhoneNumberError) as caught:
        to_e164("09 6123 4567", "CL")
    assert str(caught.value) == (
        "'09 6123 4567' is not a phone number that can be used: it is not possible as a national number in CL: "
        "a Chilean number has 9 digits and no 0, 02 or 09 in front; old 8-digit mobiles have got a leading 9"
    )
    assert isinstance(caught.value, InvalidRequestError)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("unit", ["9", " ", "1 x", "1,", "a", "(0)", "+", "1#1", "x1", "\u200b", "a:"])
def test_a_monstrous_value_is_refused_fast_and_in_few_words(unit: str) -> None:
    began = time.process_time()
    for value in (unit * 200_000, f"+1{unit * 200_000}", f"+1 (0){unit * 200_000}", f"{unit * 200_000}:1"):
        for region in (None, "US"):
            with pytest.raises(InvalidPhoneNumberError) as caught:
                to_e164(value, region, strict=True)
            assert len(str(caught.value)) < 300
    assert time.process_time() - began < 3


# Lightness


def test_phonenumbers_is_imported_only_when_needed() -> None:
    code = """
import sys
from llamadapro.phone import to_e164, to_e164_many
loaded = lambda: "phonenumbers" in sys.modules
to_e164("+56 912345678", "CL")
to_e164_many(["+56912345678"] * 3, "CL")
for junk in ("961234567", "0056961234567", "tel:+56961234567", "", "+0", None):
    try:
        to_e164(junk)
    except ValueError:
        pass
    else:
        raise SystemExit(f"{junk!r} was accepted")
assert not loaded(), "too early"
assert to_e164("961234567", "CL") == "+56961234567" and loaded()
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
