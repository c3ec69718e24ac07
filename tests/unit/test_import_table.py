"""CSV files as items: what a column and a cell become, and what is refused."""

from __future__ import annotations

import io
from typing import Any, Literal, NotRequired, Required, TypedDict
from zoneinfo import ZoneInfo

import pytest

from llamadapro.models import BulkSingleConversationCreateParamsDict as Created
from llamadapro.models import BulkSingleConversationUpdateParamsDict as Updated
from llamadapro_api.models import BulkSingleConversationCreateParamsDict
from llamadapro_api.writing import writer
from llamadapro_jobs.cli.table import BadRow, ColumnIndex, Row, Table, TableError


def table(text: str, kind: Any = Created, **options: Any) -> Table:
    return Table(io.StringIO(text, newline=""), kind, **options)


def items(text: str, kind: Any = Created, **options: Any) -> list[Any]:
    return [dict(row) if isinstance(row, Row) else str(row) for row in table(text, kind, **options)]


def test_cells_become_what_the_document_says_of_their_field() -> None:
    (item,) = items(
        "funnel_id,user_id,created_at,custom_fields.source,contact.first_name,contact.phones,contact.custom_fields.a.b\n"
        "3,7.0,2026-02-15T10:00:00-03:00,web,007,+56911111111; +56922222222 ;,x\n"
    )
    assert item.pop("created_at").isoformat() == "2026-02-15T10:00:00-03:00"
    assert item == {
        "funnel_id": 3,
        "user_id": 7,
        "custom_fields": {"source": "web"},
        "contact": {
            "first_name": "007",
            "phones": ["+56911111111", "+56922222222"],
            "custom_fields": {"a.b": "x"},
        },
    }


def test_every_key_of_the_document_can_be_a_column_and_what_comes_of_it_can_be_sent() -> None:
    names = ColumnIndex(Created).names()
    assert {"funnel_id", "contact.phones", "contact.custom_fields.NAME", "custom_fields.NAME"} <= {*names}
    good = {"created_at": "2026-02-15T10:00:00Z", "archived_at": "2026-02-15T10:00:00Z"}
    header = [name.replace("NAME", "size") for name in names]
    (item,) = items(",".join(header) + "\n" + ",".join(good.get(name, "1") for name in header))
    written = writer(BulkSingleConversationCreateParamsDict)(item)
    assert written["contact"]["nationalId"] == "1"
    assert written["contact"]["userId"] == 1
    assert "id" in ColumnIndex(Updated).names()


@pytest.mark.parametrize("name", ["Funnel ID", "funnelId", " funnel_id ", "FUNNEL-ID"])
def test_case_and_spaces_in_names_do_not_matter(name: str) -> None:
    assert items(f"{name},Contact.First Name\n3,Ana\n") == [{"funnel_id": 3, "contact": {"first_name": "Ana"}}]


def test_an_empty_cell_sends_nothing() -> None:
    assert items("funnel_id,contact.first_name,user_id\n3, ,\n") == [{"funnel_id": 3}]


def test_what_does_not_read_as_it_should_stays_text_for_the_check_of_the_row() -> None:
    text = "funnel_id,created_at,contact.user_id\nx,tomorrow,1_000\n٣,2026-13-01,1e3\n"
    assert items(text) == [
        {"funnel_id": "x", "created_at": "tomorrow", "contact": {"user_id": "1_000"}},
        {"funnel_id": "٣", "created_at": "2026-13-01", "contact": {"user_id": 1000.0}},
    ]


def test_custom_fields_are_text_unless_asked_for_as_json() -> None:
    text = 'funnel_id,custom_fields.a,custom_fields.b:json,custom_fields.c:json\n1,42,42,"[true, null]"\n1,,{,\n'
    first, second = items(text)
    assert first["custom_fields"] == {"a": "42", "b": 42, "c": [True, None]}
    assert second == "custom_fields.b:json: '{' is not JSON"


def test_times_without_a_zone_take_the_one_that_is_given() -> None:
    text = "funnel_id,created_at\n1,2026-07-15 10:00\n1,2026-07-15T10:00Z\n1,2026-07-15\n"
    moments = [item["created_at"].isoformat() for item in items(text, zone=ZoneInfo("America/Santiago"))]
    assert moments == ["2026-07-15T10:00:00-04:00", "2026-07-15T10:00:00+00:00", "2026-07-15T00:00:00-04:00"]
    assert items(text)[0]["created_at"].tzinfo is None


def test_fixed_values_and_columns_left_out() -> None:
    text = "_note,Comment,contact.first_name\nx,y,Ana\n"
    assert items(text, ignored=["Comment"], fixed={"funnel_id": "3"}) == [
        {"funnel_id": 3, "contact": {"first_name": "Ana"}}
    ]


def test_rows_know_their_lines_and_torn_ones_do_not_hold_up_the_others() -> None:
    text = 'funnel_id,contact.first_name\n1,"two\nlines"\n\n2\n3,a,b\n4,"x"y\n5,Ana\n'
    found = [(row.line, dict(row) if isinstance(row, Row) else str(row)) for row in table(text)]
    assert found[0] == (2, {"funnel_id": 1, "contact": {"first_name": "two\nlines"}})
    assert found[1] == (5, "it has 1 cells, and the header 2")
    assert found[2] == (6, "it has 3 cells, and the header 2")
    assert found[3][0] == 7
    assert "cannot be read" in str(found[3][1])
    assert found[4] == (8, {"funnel_id": 5, "contact": {"first_name": "Ana"}})


def test_an_open_quotation_mark_is_reported_with_all_the_lines_it_swallows() -> None:
    (row,) = table('funnel_id,contact.first_name\n1,"Ana\n2,Luis\n3,Eva\n')
    assert isinstance(row, BadRow)
    assert str(row).startswith("lines 2 to 4 cannot be read")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no header"),
        ("\n", "no header"),
        ("funel_id\n", "unknown column 'funel_id'; did you mean 'funnel_id'\\?"),
        ("funnel_id,contact.fist_name\n", "did you mean 'contact.first_name'\\?"),
        ("funnel_id,favourite colour\n", "there are funnel_id, created_at, "),
        ("funnel_id,contact\n", "unknown column 'contact'"),
        ("funnel_id,custom_fields\n", "unknown column 'custom_fields'"),
        ("funnel_id,custom_fields.\n", "unknown column"),
        ("funnel_id,custom_fields.x:number\n", "unknown column"),
        ("funnel_id,\n", "unknown column ''"),
        ("funnel_id;user_id;created_at\n", "another delimiter"),
        ("funnel_id,Funnel ID\n", "'funnel_id' and 'funnel_id' are the same column"),
        ("funnel_id,custom_fields.a,Custom Fields.a:json\n", "are the same column"),
        ("contact.first_name\n", "no column 'funnel_id', which every row needs"),
        ('"funnel_id\n', "cannot be read as CSV"),
    ],
)
def test_columns_that_do_not_fit(text: str, why: str) -> None:
    with pytest.raises(TableError, match=why):
        table(text)


def test_options_that_do_not_fit() -> None:
    with pytest.raises(TableError, match="no column 'coment' to leave out"):
        table("funnel_id,comment\n", ignored=["coment"])
    with pytest.raises(TableError, match="unknown column 'funel'"):
        table("funnel_id\n", fixed={"funel": "3"})
    with pytest.raises(TableError, match="are the same column"):
        table("funnel_id\n", fixed={"funnel_id": "3"})
    with pytest.raises(TableError, match="1-character string"):
        table("funnel_id\n", delimiter="ab")
    with pytest.raises(TableError, match="no column 'id'"):
        table("contact.first_name\n", Updated)


class Inner(TypedDict, total=False):
    yes: Required[bool]
    share: float


class Outer(TypedDict, total=False):
    """Forms that today's document has no example of."""

    name: Required[str]
    kind: Literal["a", "b"]
    inner: NotRequired[Inner | None]


def test_other_kinds_of_fields_that_a_document_may_have_tomorrow() -> None:
    text = "name,kind,inner.yes,inner.share\nx,a;b,TRUE,0.5\nx,,false,1\nx,,perhaps,nan\n"
    found = items(text, Outer)
    assert found[0] == {"name": "x", "kind": "a;b", "inner": {"yes": True, "share": 0.5}}
    assert found[1] == {"name": "x", "inner": {"yes": False, "share": 1}}
    assert found[2]["inner"]["yes"] == "perhaps"
    with pytest.raises(TableError, match="no column 'name'"):
        table("inner.yes\n", Outer)
