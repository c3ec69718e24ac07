"""Lists by the index: the same records in the same order as by looking at each, at a cost that does not grow."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamadapro_sandbox.query import Condition, any_of, condition, key, order_of, text_condition, values
from llamadapro_sandbox.store import Store

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["1", "01", "10", "true", "null", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "é", "É"]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("xy"), SCALARS, max_size=2))
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), max_size=12)
OPERATORS = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "exists", "notExists", "contains", "startsWith"]
SORTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "a.x", "b.y"]), st.booleans()), max_size=2, unique_by=lambda s: s[0]
)


def filled(records: list[dict[str, Any]], kind: str = "contacts") -> Store:
    store = Store()
    for number, record in enumerate(records, 1):
        store.put(kind, number, record)
    return store


def by_looking(
    records: dict[int, dict[str, Any]], conditions: list[Condition], sort: list[tuple[str, bool]]
) -> list[int]:
    found = [number for number, record in records.items() if all(one.holds(record) for one in conditions)]
    found.sort(reverse=bool(sort) and sort[0][1])
    for field, descending in reversed(sort):
        found.sort(key=lambda n: key(next(iter(values(records[n], field)), None)), reverse=descending)
    return found


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=RECORDS,
    later=RECORDS,
    tests=st.lists(st.tuples(st.sampled_from(["a", "b", "a.x"]), st.sampled_from(OPERATORS), SCALARS), max_size=2),
    word=st.sampled_from(["", "é", "tru"]),
    sort=SORTS,
    few=st.sampled_from([0, 3, 400]),
    must=st.sampled_from([None, 0, 1]),
)
def test_the_index_finds_what_looking_finds(
    records: list[dict[str, Any]],
    later: list[dict[str, Any]],
    tests: list[tuple[str, str, Any]],
    word: str,
    sort: list[tuple[str, bool]],
    few: int,
    must: int | None,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llamadapro_sandbox.store.FEW", few)  # so that all ways are taken
        patch.setattr("llamadapro_sandbox.store.SOME", few)
        store = filled(records)
        conditions = [condition(*test) for test in tests] + ([text_condition(word)] if word else [])
        if must is not None and conditions:
            conditions = [any_of(conditions[:must], conditions[must:])]
        order, descending = order_of(sort) if sort else ("", False)
        store.select("contacts", conditions, order=order, descending=descending, limit=5)
        for number, record in enumerate(later, 1):  # changes, additions and a deletion after the order was first asked
            store.put("contacts", number, record)
        store.delete("contacts", 2)
        now = dict(store.some("contacts"))
        wanted = by_looking(now, conditions, sort)
        assert store.count("contacts", conditions) == len(wanted)
        walked: list[int] = []
        after = None
        while page := store.select("contacts", conditions, order=order, descending=descending, after=after, limit=2):
            walked += [one.number for one in page]
            after = (page[-1].key, page[-1].number)
        assert walked == wanted
        skipped = store.select("contacts", conditions, order=order, descending=descending, skip=1, limit=3)
        assert [one.number for one in skipped] == wanted[1:4]


def steps(store: Store, **how: Any) -> int:
    """What a page costs: instructions of SQLite's machine, by the thousand, and records that are read."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    store.watch(count, 100)
    store.select("contacts", limit=21, **how)
    store.watch(None, 0)
    return counted


@pytest.fixture(scope="module")
def stores() -> list[Store]:
    """A small and a large one, alike."""
    made: list[Store] = []
    for size in (400, 8000):
        store, order = Store(), random.Random(1)
        with store.transaction():
            for number in range(1, size + 1):
                record = {
                    "name": f"n{order.randrange(10**9)}",
                    "half": order.random() < 0.5,
                    "createdAt": f"2024-01-01T{number % 24:02}:00:00Z",
                    "customFields": {"level": f"l{order.randrange(3)}"},
                    "email": f"n{number}@example.org",
                }
                store.put("contacts", number, record)
        made.append(store)
    return made


@pytest.mark.parametrize(
    "how",
    [
        {"conditions": []},
        {"conditions": [], "order": "name"},
        {"conditions": [], "order": "createdAt", "descending": True},
        {"conditions": [], "order": "createdAt;-name"},
        {"conditions": [condition("half", "eq", True)]},
        {"conditions": [condition("half", "eq", True)], "order": "name"},
        {"conditions": [condition("customFields.level", "eq", "l1")], "order": "createdAt", "descending": True},
        {"conditions": [condition("email", "eq", "n77@example.org")], "order": "name"},
        {"conditions": [condition("email", "contains", "n77@")]},
        {"conditions": [condition("createdAt", "gte", "2024-01-01T12:00:00Z")], "order": "name"},
        {"conditions": [condition("name", "startsWith", "N5")], "order": "name", "descending": True},
        {"conditions": [text_condition("example")]},
        {"conditions": [text_condition("n77@")]},
        {"conditions": [any_of([condition("half", "eq", True)], [condition("email", "eq", "n77@example.org")])]},
        {"conditions": [any_of([], [condition("email", "eq", f"n{n}@example.org") for n in (7, 77)])], "order": "name"},
    ],
    ids=lambda how: " ".join([*(one.name for one in how["conditions"]), how.get("order", "")]),
)
def test_a_page_costs_the_same_of_many_records(
    stores: list[Store], how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamadapro_sandbox.store.FEW", 20)
    monkeypatch.setattr("llamadapro_sandbox.store.SOME", 100)
    for store in stores:
        store.select("contacts", limit=21, **how)  # an order is made at its first use
    small, large = (steps(store, **how) for store in stores)
    assert large <= 3 * small + 10
