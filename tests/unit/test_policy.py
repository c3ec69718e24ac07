"""Promise 1's table as pure decisions: what an outcome means, whether to try again, and when."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llamadapro._transport import policy
from llamadapro._transport.policy import (
    INITIAL_BACKOFF,
    MAX_BACKOFF,
    Outcome,
    backoff,
    outcome_of_status,
    read_retry_after,
    retry_delay,
)
from tests.strategies import MANY

# --- the table ---------------------------------------------------------------------------------------------------


def test_every_status_has_its_outcome() -> None:
    expected = dict.fromkeys(range(100, 600), Outcome.FINAL)
    expected |= dict.fromkeys(range(500, 1000), Outcome.AMBIGUOUS)
    expected |= {408: Outcome.AMBIGUOUS, 429: Outcome.RATE_LIMITED}
    assert {status: outcome_of_status(status) for status in expected} == expected


RETRIED = {
    # outcome: (safe to repeat, not safe), as DESIGN.md prints it
    Outcome.NOT_SENT: (True, True),
    Outcome.RATE_LIMITED: (True, True),
    Outcome.AMBIGUOUS: (True, False),
    Outcome.FINAL: (False, False),
}


def test_the_table_names_every_outcome() -> None:
    assert set(RETRIED) == set(Outcome)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("safe", [True, False], ids=["safe", "not safe"])
def test_the_table(outcome: Outcome, safe: bool) -> None:
    for retries, max_retries, retry_after, jitter, remaining in product(
        (0, 1, 2, 3), (0, 1, 2, 3), (None, 0.0, 0.5, 3.0), (0.0, 0.25, 0.999), (None, 0.0, 0.1, 0.5, 3.0, 3.001, 100.0)
    ):
        wait = retry_delay(
            outcome,
            safe=safe,
            retries=retries,
            max_retries=max_retries,
            retry_after=retry_after,
            jitter=jitter,
            remaining=remaining,
        )
        due = jitter * min(8.0, 0.5 * 2**retries) if retry_after is None else retry_after
        again = RETRIED[outcome][not safe] and retries < max_retries and (remaining is None or due < remaining)
        assert wait == (due if again else None), (retries, max_retries, retry_after, jitter, remaining)


def test_what_the_service_asks_for_is_neither_shortened_nor_jittered() -> None:
    for asked in (0.0, 0.25, 7.0, 3600.0):
        wait = retry_delay(
            Outcome.RATE_LIMITED, safe=False, retries=0, max_retries=1, retry_after=asked, jitter=0.5, remaining=None
        )
        assert wait == asked


# --- back-off ----------------------------------------------------------------------------------------------------


def test_back_off_doubles_up_to_its_longest() -> None:
    assert [backoff(retries) for retries in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert (INITIAL_BACKOFF, MAX_BACKOFF) == (0.5, 8.0)
    assert backoff(10**9) == 8.0


@MANY
@given(
    retries=st.integers(0, 10**9),
    jitter=st.floats(0, 1, exclude_max=True),
    remaining=st.none() | st.floats(0, 1e9),
    outcome=st.sampled_from([Outcome.NOT_SENT, Outcome.RATE_LIMITED]),
    safe=st.booleans(),
)
def test_a_wait_is_within_its_bounds(
    retries: int, jitter: float, remaining: float | None, outcome: Outcome, safe: bool
) -> None:
    wait = retry_delay(
        outcome,
        safe=safe,
        retries=retries,
        max_retries=retries + 1,
        retry_after=None,
        jitter=jitter,
        remaining=remaining,
    )
    if wait is None:
        assert remaining is not None
        assert jitter * backoff(retries) >= remaining
    else:
        assert 0 <= wait <= min(8.0, 0.5 * 2.0 ** min(retries, 10))
        assert remaining is None or wait < remaining


def test_full_jitter_spreads_over_all_of_it() -> None:
    waits = [
        retry_delay(
            Outcome.NOT_SENT,
            safe=True,
            retries=4,
            max_retries=5,
            retry_after=None,
            jitter=jitter / 10,
            remaining=None,
        )
        for jitter in range(10)
    ]
    assert waits == pytest.approx([0.8 * tenth for tenth in range(10)])


# --- Retry-After -------------------------------------------------------------------------------------------------

NOW = "Tue, 20 Oct 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("0.0", 0.0),
        ("1", 1.0),
        ("120", 120.0),
        ("0.25", 0.25),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("007", 7.0),
        (NOW, 0.0),
        ("Tue, 20 Oct 2026 12:00:30 GMT", 30.0),
        ("Tue, 20 Oct 2026 11:59:30 GMT", 0.0),
        ("Wed, 21 Oct 2026 12:00:00 GMT", 86400.0),
        ("Tuesday, 20-Oct-26 12:00:30 GMT", 30.0),
        ("Tue, 20 Oct 2026 09:00:30 -0300", 30.0),
    ],
)
def test_seconds_fractions_and_dates_are_read(value: str, seconds: float) -> None:
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "soon", "nan", "NaN", "inf", "Infinity", "-inf", "-1", "-0.5", "1_0", "0x10", "1e3", "1,5", "5 s",
        "1 2", "5;", "٣", "Tue, 99 Oct 2026 12:00:00 GMT", "Tue, 20 Oct", "2026-10-20",
        "20 Oct 2026 12:00:00 +9999999", "20 Oct 99999999999999999999 12:00:00 GMT", "\x00",
    ],
)  # fmt: skip
def test_what_says_nothing_is_nothing(value: str) -> None:
    assert read_retry_after(value, NOW) is None
    assert read_retry_after(None, NOW) is None


def test_a_long_wait_is_a_long_wait() -> None:
    for value in ("31536000", "9" * 400, "9" * 5000):
        seconds = read_retry_after(value, NOW)
        assert seconds is not None
        assert 31536000.0 <= seconds < math.inf
    far = read_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", NOW)
    assert far is not None
    assert far > 1e9


@pytest.fixture(params=["UTC", "America/Santiago", "Asia/Kathmandu"])
def local_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The clock on the wall must not matter."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize(
    "value",
    [
        "Tue, 20 Oct 2026 12:00:30 GMT",
        "Tuesday, 20-Oct-26 12:00:30 GMT",
        "Tue Oct 20 12:00:30 2026",  # the old C form, which HTTP also knows; it means GMT
        "Tue, 20 Oct 2026 12:00:30 -0000",
    ],
)
def test_every_http_date_means_gmt(value: str) -> None:
    assert read_retry_after(value, NOW) == 30.0


@pytest.mark.parametrize("date", [None, "", "some day", "99 Oct"])
def test_without_a_readable_date_of_the_answer_our_own_clock_counts(
    date: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "time", lambda: 1792497600.0 - 12)  # twelve seconds before NOW
    assert read_retry_after(NOW, date) == 12.0


def test_a_wrong_clock_on_either_side_does_no_harm() -> None:
    # The service believes that it is 1999.
    assert read_retry_after("Fri, 01 Jan 1999 00:00:09 GMT", "Fri, 01 Jan 1999 00:00:00 GMT") == 9.0


headers = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(
        r"([A-Z][a-z]{2}, )?[0-9]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{1,5} [0-9:]{0,8}( [A-Z+\-0-9]{0,6})?", fullmatch=True
    ),
)


@MANY
@given(value=headers, date=headers)
@example("Mon, 01 Jan 0001 00:00:00 GMT", NOW)
@example("Mon, 01 Jan 0001 00:00:00", "Fri, 31 Dec 9999 23:59:59")
@example("0, 0 0 0 0:0:0 0", NOW)
def test_no_header_is_more_than_a_wait_or_nothing(value: str | None, date: str | None) -> None:
    seconds = read_retry_after(value, date)
    assert seconds is None or 0 <= seconds < math.inf
