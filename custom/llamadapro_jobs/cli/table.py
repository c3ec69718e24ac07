"""CSV files as the items of a bulk call, or as the rows of a campaign.

Of a bulk call, a column is named after a key of the items' generated `TypedDict`: which keys there are, and what their
values must be, is read from its annotations; nothing is listed here.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, NotRequired, Required, TextIO, Union, get_args, get_origin, get_type_hints

import attrs
from typing_extensions import is_typeddict

from ..source import Placed

Reader = Callable[[str], Any]
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")


class TableError(Exception):
    """The file cannot be read as a table of these items."""


class Row(dict[str, Any], Placed):
    """An item, with the line that it starts in and its cells."""

    __slots__ = ("cells", "line")

    def __init__(self, line: int, cells: Sequence[str]) -> None:
        self.line: int = line
        self.cells: Sequence[str] = cells


class BadRow(ValueError, Placed):
    """A row that is no item, and why."""

    def __init__(self, reason: str, line: int, cells: Sequence[str]) -> None:
        super().__init__(reason)
        self.line = line
        self.cells = cells


@attrs.frozen
class Column:
    """Where the cells of a column go, and how they are read."""

    name: str
    path: tuple[str, ...]
    read: Reader


class CsvLines:
    """The lines of a CSV file behind its header, each as `Row` or `BadRow`; `TableError` if there is no header."""

    def __init__(self, file: TextIO, delimiter: str = ",") -> None:
        try:
            # Strict: a quotation mark out of place is an error, rather than a guess.
            self._lines = csv.reader(file, delimiter=delimiter, strict=True)
            self.header: list[str] = next(self._lines, [])
        except (csv.Error, TypeError, ValueError) as error:  # a delimiter of two signs, a torn first line
            if isinstance(error, UnicodeError):
                raise
            raise TableError(f"it cannot be read as CSV: {error}") from None
        if not self.header:
            raise TableError("it has no header: the first line must name the columns")
        self.delimiter = delimiter

    def __iter__(self) -> Iterator[Row | BadRow]:
        while True:
            line = self._lines.line_num + 1
            try:
                cells = next(self._lines)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(f"lines {line} to {self._lines.line_num} cannot be read: {error}", line, [])
                continue
            if not cells:  # the line is empty
                continue
            if len(cells) != len(self.header):
                yield BadRow(f"it has {len(cells)} cells, and the header {len(self.header)}", line, cells)
                continue
            row = Row(line, cells)
            try:
                self._fill(row)
            except ValueError as error:
                yield BadRow(str(error), line, cells)
            else:
                yield row

    def _fill(self, row: Row) -> None:
        """Make the cells of a row its items; raises `ValueError`."""
        raise NotImplementedError

    def cells(self, item: Any) -> Sequence[str]:
        """The cells that an item was made of, as far as it shows them."""
        return []


class Table(CsvLines):
    """The rows of a CSV file as items of a bulk call.

    Columns of nested keys are dotted (``contact.first_name``); lists are split at ``;``; an empty cell sends nothing.
    Free-form objects take any name behind their dot, as text, or with ``:json`` at its end as JSON. Case, spaces and
    underscores in names do not matter, and a column whose name begins with ``_`` is left out.

    Raises `TableError` for columns that do not fit.
    """

    def __init__(
        self,
        file: TextIO,
        item: Any,
        *,
        delimiter: str = ",",
        ignored: Sequence[str] = (),
        fixed: Mapping[str, str] | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        super().__init__(file, delimiter)
        keys = ColumnIndex(item, zone)
        left_out = {*ignored}
        if missing := left_out.difference(self.header):
            raise TableError(f"there is no column {min(missing)!r} to leave out")
        self._columns = [
            None if name in left_out or name.startswith("_") else keys.column(name.strip()) for name in self.header
        ]
        self._fixed = [(keys.column(name), text) for name, text in (fixed or {}).items()]
        keys.check([*filter(None, self._columns), *(column for column, _ in self._fixed)])

    def _fill(self, row: Row) -> None:
        for column, text in (*self._fixed, *zip(self._columns, row.cells, strict=True)):
            if column is not None and (text := text.strip()):
                try:
                    _set_nested(row, column.path, column.read(text))
                except ValueError as error:
                    raise ValueError(f"{column.name}: {error}") from None


class CampaignTable(CsvLines):
    """The rows of a CSV file as messages: the column ``to``, and the template's variables in their order.

    A column whose name begins with ``_`` is left out. An empty cell is a bad row: it would send a message with a hole.
    """

    def __init__(self, file: TextIO, *, delimiter: str = ",") -> None:
        super().__init__(file, delimiter)
        names = ["_" if name.strip().startswith("_") else _normalized(name) for name in self.header]
        if names.count("to") != 1:
            advice = " (perhaps the file has another --delimiter)" if len(names) == 1 else ""
            raise TableError(f"there must be one column 'to' with the numbers{advice}")
        self._to = names.index("to")
        if "" in names:
            raise TableError(f"column {names.index('') + 1} has no name: name it, or _NAME to leave it out")
        self._variables = [place for place, name in enumerate(names) if name not in ("to", "_")]

    def _fill(self, row: Row) -> None:
        for place in (self._to, *self._variables):
            if not row.cells[place].strip():
                raise ValueError(f"{self.header[place].strip()}: the cell is empty")
        row["to"] = row.cells[self._to].strip()
        if self._variables:
            row["variables"] = [row.cells[place].strip() for place in self._variables]

    def cells(self, item: Any) -> Sequence[str]:
        cells = [""] * len(self.header)
        cells[self._to] = item.get("to", "")
        for place, text in zip(self._variables, item.get("variables", ()), strict=False):
            cells[place] = text
        return cells


def _set_nested(row: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *within, last = path
    for key in within:
        row = row.setdefault(key, {})
    row[last] = value


class ColumnIndex:
    """The keys of an item, nested ones too, by their folded names."""

    def __init__(self, item: Any, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._single: dict[str, Column] = {}
        self._free: dict[str, tuple[str, ...]] = {}
        self._required: list[str] = []
        self._add(item, (), True)

    def column(self, name: str) -> Column:
        """What a column of this name is."""
        if found := self._single.get(_normalized(name)):
            return found
        parts = name.split(".")
        for cut in range(1, len(parts)):
            path = self._free.get(_normalized(".".join(parts[:cut])))
            if path is not None:
                key, _, kind = ".".join(parts[cut:]).partition(":")
                if key and kind in ("", "json"):
                    return Column(name, (*path, key), _json if kind else str)
        near = get_close_matches(name, self.names(), n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.names())}."
        if re.search(r"[;\t|].*[;\t|]", name):
            advice = "perhaps the file has another delimiter."
        raise TableError(f"unknown column {name!r}; {advice} One that is not to be sent can be left out (--ignore)")

    def names(self) -> list[str]:
        """All columns there can be."""
        free = [f"{'.'.join(path)}.NAME" for path in self._free.values()]
        return [*(column.name for column in self._single.values()), *free]

    def check(self, columns: Sequence[Column]) -> None:
        """Refuse columns that lead to the same key, or lack one that every item needs."""
        paths: dict[tuple[str, ...], str] = {}
        for column in columns:
            if column.path in paths:
                raise TableError(f"{paths[column.path]!r} and {column.name!r} are the same column")
            paths[column.path] = column.name
        for name in self._required:
            if (name,) not in paths:
                raise TableError(f"there is no column {name!r}, which every row needs (or --set {name}=… for all)")

    def _add(self, item: Any, path: tuple[str, ...], required: bool) -> None:
        for key, hint in get_type_hints(item, include_extras=True).items():
            here = (*path, key)
            name = ".".join(here)
            needed = required and bool(item.__total__)
            while get_origin(hint) in (Required, NotRequired):
                needed = required and get_origin(hint) is Required
                hint = get_args(hint)[0]
            if needed:
                self._required.append(name)
            kinds = [*_kinds(hint)]
            nested = next((kind for kind in kinds if is_typeddict(kind)), None)
            origins = {get_origin(kind) or kind for kind in kinds}
            if nested is not None:
                self._add(nested, here, False)
            elif any(isinstance(origin, type) and issubclass(origin, Mapping) for origin in origins):
                self._free[_normalized(name)] = here
            else:
                self._single[_normalized(name)] = Column(name, here, self._reader(origins))

    def _reader(self, origins: set[Any]) -> Reader:
        """Text that does not read as what is wanted stays text: the check of the row will say what is wrong with it."""
        if datetime in origins:
            return self._moment
        if bool in origins:
            return lambda text: {"true": True, "false": False}.get(text.lower(), text)
        if float in origins or int in origins:
            return _number
        if any(isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str for origin in origins):
            return lambda text: [part.strip() for part in text.split(";") if part.strip()]
        return str

    def _moment(self, text: str) -> Any:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        return moment if self._zone is None or moment.tzinfo is not None else moment.replace(tzinfo=self._zone)


def _kinds(hint: Any) -> Iterator[Any]:
    """The members of a union, within annotations too; of any other type, the type alone."""
    if get_origin(hint) is Annotated:
        yield from _kinds(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for kind in get_args(hint):
            yield from _kinds(kind)
    else:
        yield hint


def _number(text: str) -> Any:
    if integer := _INTEGER.fullmatch(text):
        return int(integer[1])
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:40]!r} is not JSON") from None


def _normalized(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
