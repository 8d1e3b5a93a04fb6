"""Rows of Python as the CSV that Ruler takes; see :mod:`.upload_columns`."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_jobstatus.core.csv_rows import Lines
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.hooks.ruler.upload_check import row_of_list
from airflow_provider_jobstatus.hooks.ruler.upload_columns import LABEL, UploadKind


def rows_as_csv(kind: UploadKind, rows: object) -> bytes:
    """
    Return rows as CSV.

    A time with a time zone becomes UTC without one, a number its decimal digits, None an empty cell, and a
    list under ``Label`` a column for each of its items.

    :param rows: mappings of column to value; None, or no such key, for an empty cell.
    :raises SettingsError: a row or a value that cannot be written, by its place and never by its content.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        raise SettingsError(
            f"rows is a {type(rows).__name__}; give a list of dicts, or the output of a task that returns "
            "one: a template makes a text of it"
        )
    used: dict[str, int] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise SettingsError(f"{row_of_list(index)} is a {type(row).__name__}; give a dict")
        for column, value in row.items():
            if not isinstance(column, str):
                raise SettingsError(f"{row_of_list(index)} has a key that is no text")
            used[column] = max(used.get(column, 1), len(_items(column, value)))
    columns = [name for name in kind.columns if name in used]
    columns += [name for name in used if name not in columns]
    text = Lines()
    writer = csv.writer(text)
    writer.writerow([name for name in columns for _ in range(used[name])])
    for index, row in enumerate(rows):
        writer.writerow(_cells(row, columns, used, row_of_list(index), kind.columns))
    try:
        return "".join(text).encode()
    except UnicodeEncodeError:
        raise SettingsError("rows hold a lone surrogate, which is no text") from None


def _items(column: str, value: object) -> Sequence[object]:
    is_list = column == LABEL and isinstance(value, (list, tuple))
    return value if is_list else (value,)  # type: ignore[return-value]


def _cells(
    row: Mapping[str, Any],
    columns: Iterable[str],
    used: Mapping[str, int],
    place: str,
    known: Sequence[str],
) -> list[str]:
    cells = []
    for column in columns:
        items = _items(column, row.get(column))
        shown = column if column in known else "another column"
        cells += [_cell(item, f"{place}, {shown}") for item in items]
        cells += [""] * (used[column] - len(items))
    return cells


def _cell(value: object, place: str) -> str:
    match value:
        case None:
            return ""
        case str():
            return str.__str__(value)
        case bool():
            pass
        case int():
            return str(int(value))
        case float() if math.isfinite(value):
            return f"{Decimal(repr(float(value))):f}"
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case datetime():
            if value.utcoffset() is None:
                raise SettingsError(f"{place}: is a datetime without a time zone; give one with")
            try:
                return value.astimezone(UTC).replace(tzinfo=None).isoformat()
            except OverflowError:
                raise SettingsError(f"{place}: is a datetime that is out of range in UTC") from None
        case date():
            return value.isoformat()
    raise SettingsError(f"{place}: is a {type(value).__name__} that no cell can hold")
