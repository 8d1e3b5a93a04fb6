"""Checks a file before it is uploaded to Ruler, row by row; see :mod:`.upload_columns`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_jobstatus.core.csv_rows import csv_rows
from airflow_provider_jobstatus.core.encodings import NotText, strict_utf8
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.ruler.upload_columns import (
    CURRENCIES,
    CURRENCY,
    IDENTIFIERS,
    LABEL,
    OF_FAILURES,
    UploadKind,
)

#: Most mistakes that are named; more are counted.
MAX_NAMED = 20
#: Most rows whose reference is compared with those before it: they take some 40 MiB.
MAX_COMPARED = 500_000

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{6})?)?", re.ASCII)
_WITH_OFFSET = re.compile(r"[\dT:. -]{1,30}(?:Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_FORMS = "give yyyy-MM-dd, yyyy-MM-ddTHH:mm:ss or yyyy-MM-ddTHH:mm:ss.ffffff"

Check = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """
    A file that may be uploaded.

    :param rows: how many, without the header.
    :param remarks: what a person should know of it.
    """

    rows: int
    remarks: tuple[str, ...] = ()


class Mistakes:
    """The mistakes of a file. Never the content of a cell: rows hold personal data."""

    def __init__(self) -> None:
        self._named: list[str] = []
        self.count = 0

    def add(self, place: str, what: str) -> None:
        """Note a mistake."""
        self.count += 1
        if len(self._named) < MAX_NAMED:
            self._named.append(f"{place} {what}")

    def refuse(self) -> None:
        """:raises SettingsError: there are mistakes."""
        if self.count:
            more = f"; and {self.count - MAX_NAMED} more" if self.count > MAX_NAMED else ""
            raise SettingsError(f"nothing was sent: {'; '.join(self._named)}{more}")


def row_of_file(index: int) -> str:
    """Name a row of a file as a spreadsheet counts: the header is row 1."""
    return f"row {index + 2}"


def row_of_list(index: int) -> str:
    """Name a row of a list of rows."""
    return f"rows[{index}]"


def check_rows(
    kind: UploadKind, chunks: Iterable[bytes], now: float, name: Callable[[int], str] = row_of_file
) -> CheckedRows:
    """
    Check a whole file against what Ruler's pages say of it. Blank lines are no rows, and are not counted.

    :param chunks: of the file.
    :param now: epoch seconds; no time may be later.
    :param name: names a row by its index.
    :raises SettingsError: a mistake, or several, by row and column.
    """
    mistakes = Mistakes()
    rows = csv_rows(strict_utf8(chunks), strict=True)
    try:
        header = next(rows, None)
        if header is None:
            raise SettingsError("nothing was sent: the file is empty")
        remarks = _check_header(kind, header, mistakes)
        mistakes.refuse()
        count = _check_rows(kind, header, rows, now, name, mistakes)
    except (csv.Error, NotText) as error:
        mistakes.add("the file", f"cannot be read as CSV in UTF-8: {clean(error)}")
        count = 0
    mistakes.refuse()
    if not count:
        raise SettingsError("nothing was sent: the file has a header and no rows")
    return CheckedRows(count, remarks)


def _check_header(kind: UploadKind, header: list[str], mistakes: Mistakes) -> tuple[str, ...]:
    """Return remarks about the columns."""
    known = {name.casefold(): name for name in (*kind.columns, *OF_FAILURES)}
    unknown = []
    for position, name in enumerate(header, start=1):
        right = known.get(name.strip().casefold())
        if right in OF_FAILURES:
            mistakes.add(
                f"the header has {right!r},",
                "as a file of failures; download it with reupload_ready=True, or drop the column",
            )
        elif right is not None and name != right:
            mistakes.add(f"column {position} of the header", f"must be written {right!r}")
        elif right is None and not name.strip():
            mistakes.add(f"column {position} of the header", "has no name")
        elif right is None:
            unknown.append(name)
    for name in kind.columns:
        if name != LABEL and header.count(name) > 1:
            mistakes.add("the header", f"has {name!r} more than once, which only {LABEL!r} may be")
    for name in kind.required:
        if name not in header and not mistakes.count:
            # A first row of values may be taken for the header: nothing of it is shown.
            semicolons = len(header) == 1 and ";" in header[0]
            hint = " (cells are separated by ',', not by ';')" if semicolons else ""
            missing = ", ".join(map(repr, (name for name in kind.required if name not in header)))
            mistakes.add("the header", f"misses {missing}{hint}")
    if not set(IDENTIFIERS) & set(header):
        mistakes.add("the header", f"has none of {', '.join(map(repr, IDENTIFIERS))}")
    if not unknown:
        return ()
    # A name that is none may be a cell.
    names = [name if re.fullmatch(r"[A-Za-z]\w{0,39}", name, re.ASCII) else "..." for name in unknown]
    shown = ", ".join(map(repr, names[:MAX_NAMED]))
    return (f"no page of Ruler's has the column {shown} of the file; Ruler may refuse it",)


def _check_rows(
    kind: UploadKind,
    header: list[str],
    rows: Iterator[list[str]],
    now: float,
    name: Callable[[int], str],
    mistakes: Mistakes,
) -> int:
    """Return how many rows there are."""
    width = len(header)
    checks = [(at, column, check) for at, column in enumerate(header) if (check := _check(kind, column, now))]
    identifiers = [at for at, column in enumerate(header) if column in IDENTIFIERS]
    labels = [at for at, column in enumerate(header) if column == LABEL] if LABEL in kind.required else []
    unique = header.index(kind.unique) if kind.unique else None
    seen: set[int] = set()
    index = -1
    for index, row in enumerate(rows):
        if len(row) != width:
            mistakes.add(name(index), f"has {len(row)} cells, the header {width}")
            continue
        for at, column, check in checks:
            if wrong := check(row[at]):
                mistakes.add(f"{name(index)}, {column}:", wrong)
        if not any(row[at].strip() for at in identifiers):
            mistakes.add(name(index), f"has none of {', '.join(IDENTIFIERS)}")
        if labels and not any(row[at].strip() for at in labels):
            mistakes.add(f"{name(index)}, {LABEL}:", "is empty")
        if unique is not None and row[unique] and len(seen) < MAX_COMPARED:
            # A hash takes less memory than a text, and two are hardly ever equal by chance.
            if (key := hash(row[unique])) in seen:
                mistakes.add(f"{name(index)}, {kind.unique}:", "stands in an earlier row, too")
            seen.add(key)
    return index + 1


def _check(kind: UploadKind, column: str, now: float) -> Check | None:
    """Return what says what is wrong with a cell of a column, if anything may be."""
    required = column in kind.required
    if column in kind.dates:
        latest = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
        return lambda text: _wrong_date(text, latest) if text or required else ""
    if column == CURRENCY:
        return lambda text: "" if text in CURRENCIES else "is no code of ISO 4217, such as GBP"
    if column == kind.value:
        return lambda text: (
            "" if _DECIMAL.fullmatch(text) else "is no decimal number: digits, and a point before a fraction"
        )
    if required and column != LABEL:
        return lambda text: "" if text.strip() else "is empty"
    return None


def _wrong_date(text: str, latest: datetime) -> str:
    if not _DATE.fullmatch(text):
        return (
            "has a time zone; give UTC without one"
            if _WITH_OFFSET.fullmatch(text)
            else f"is no date; {_FORMS}"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "is no date of the calendar"
    return "lies in the future" if moment > latest else ""
