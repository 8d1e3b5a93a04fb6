"""The CSV files of Ruler Analytics: the template, an upload, and the rows that were rejected.

Sources: https://rulerapi.com/batch-jobs/upload-revenue-batch ,
https://docs.rulerapi.com/batch-jobs/revenue-template , https://rulerapi.com/batch-jobs/revenue-failures
"""

from __future__ import annotations

import csv
import email.policy
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.parser import BytesParser

COLUMNS = (
    "RevenueClosedDate",
    "CurrencyCode",
    "Value",
    "RaId",
    "EmailAddress",
    "PhoneNumber",
    "PayloadValue",
    "LeadDate",
    "Label",
    "Reference",
    "AdditionalDataProperties",
)
REQUIRED = ("RevenueClosedDate", "CurrencyCode", "Value", "Label", "Reference")
IDENTIFIERS = ("RaId", "EmailAddress", "PhoneNumber", "PayloadValue")
CURRENCY = re.compile(r"[A-Z]{3}\Z")

Row = list[str]


@dataclass(frozen=True)
class Rejected:
    """A row that could not be processed.

    :param number: Its place in the upload, the first row under the header being 1 (the page does not say).
    :param cells: The row as it was uploaded.
    :param message: What is wrong with it.
    """

    number: int
    cells: Sequence[str]
    message: str


@dataclass(frozen=True)
class Upload:
    """An upload that was taken: its header, how many rows it has, and which of them are rejected."""

    header: Row
    total_rows: int
    rejected: list[Rejected]


class UploadRefused(Exception):
    """An upload that makes no job.

    :param problems: Row number (0 for the file or its header) and message of each problem.
    """

    def __init__(self, *problems: tuple[int, str]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


def template() -> str:
    """Return the file that a user fills in: the header and one row to be removed."""
    sample = [
        "2024-01-15T10:00:00",
        "GBP",
        "125.50",
        "",
        "jo@example.com",
        "",
        "",
        "2024-01-02",
        "New customer",
        "INV-1001",
        "Name=Region,Value=North;Name=Branch,Value=Leeds",
    ]
    return _write([COLUMNS, sample])


def file_part(content_type: str, body: bytes) -> bytes:
    """Return the part named ``file`` of an upload's body.

    The body has been read for the recording already, so this takes a parser of bytes and not of a stream.

    :raises UploadRefused: There is no such part.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        raise UploadRefused((0, "The body must be multipart/form-data."))
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    files = [
        part
        for part in message.iter_parts()
        if part.get_param("name", header="content-disposition") == "file"
    ]
    if len(files) != 1:
        raise UploadRefused((0, "The body must have one part named file."))
    content = files[0].get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def read_upload(data: bytes) -> Upload:
    """Read an uploaded file.

    Only a missing Value, a malformed CurrencyCode and an EmailAddress without @ reject a row here: enough to
    get every outcome of a job by uploading a file, also one that a client has checked.

    :raises UploadRefused: The file as a whole is no good.
    """
    try:
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UploadRefused((0, f"The file cannot be read as UTF-8 CSV: {error}.")) from error
    if not rows:
        raise UploadRefused((0, "The file is empty."))
    header = rows.pop(0)
    problems = [(0, f"The column {name} is missing.") for name in REQUIRED if name not in header]
    if not set(IDENTIFIERS) & set(header):
        problems.append((0, f"One of the columns {', '.join(IDENTIFIERS)} is needed."))
    if not problems and not rows:
        problems.append((0, "The file has no rows."))
    if problems:
        raise UploadRefused(*problems)
    value, currency = header.index("Value"), header.index("CurrencyCode")
    address = header.index("EmailAddress") if "EmailAddress" in header else len(header)
    rejected = []
    for number, row in enumerate(rows, start=1):
        complaints = []
        if not _cell(row, value).strip():
            complaints.append("Value is required.")
        if not CURRENCY.match(_cell(row, currency)):
            complaints.append("CurrencyCode is not an ISO 4217 code.")
        if "@" not in (_cell(row, address) or "@"):
            complaints.append("EmailAddress is not an e-mail address.")
        if complaints:
            rejected.append(Rejected(number, row, " ".join(complaints)))
    return Upload(header, len(rows), rejected)


def _cell(row: Row, position: int) -> str:
    return row[position] if position < len(row) else ""


DEMO_HEADER = [*COLUMNS[:9], "Label", *COLUMNS[9:]]
"""The columns of the made-up rows; as the page allows, Label stands twice."""


def demo_rows(failed_rows: int, total_rows: int) -> list[Rejected]:
    """Make up rejected rows that are as awkward as real ones may be.

    The first has a line break in a quoted cell, the second has a comma too few (the page's own sample is
    uneven in that way), and all have two labels.

    :param failed_rows: How many.
    :param total_rows: The rows of the whole job, over which they are spread.
    """
    rows = []
    for index in range(failed_rows):
        number = index * total_rows // failed_rows + 1
        cells = ["2024-01-15", "GBP", "", "", f"person{number}@example.com", "", "", "2024-01-02"]
        cells += [
            "Spring\ncampaign" if index == 0 else "Spring campaign",
            "Müller & Co",
            f"INV-{1000 + number}",
        ]
        if index != 1:
            cells.append("Name=Region,Value=North")
        rows.append(Rejected(number, cells, "Value is required."))
    return rows


def failures_csv(header: Sequence[str], rejected: Iterable[Rejected]) -> str:
    """Return rejected rows as a CSV file; a row with cells too few stays uneven."""
    rows = ([str(row.number), *row.cells, row.message] for row in rejected)
    return _write([["RowNumber", *header, "ErrorMessage"], *rows])


def failures_json(header: Sequence[str], rejected: Iterable[Rejected]) -> str:
    """Return rejected rows as a JSON array.

    The page names ``errorMessage`` only. The case of the other keys is unknown at the vendor, and so is what
    becomes of repeated columns: here, the columns keep their names and a repeated one becomes a list.
    """
    repeated = {name for name in header if header.count(name) > 1}
    objects = []
    for row in rejected:
        item: dict[str, object] = {name: [] if name in repeated else None for name in header}
        for name, cell in zip(header, row.cells, strict=False):
            item[name] = [*_as_list(item[name]), cell] if name in repeated else cell
        objects.append(item | {"errorMessage": row.message})
    return json.dumps(objects, ensure_ascii=False)


def parse_failures(text: str) -> tuple[Row, list[Rejected]]:
    """Read a failures file that a test has given, to offer the same rows as JSON."""
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    header = rows.pop(0)[1:-1] if rows else []
    return header, [Rejected(number, row[1:-1], row[-1]) for number, row in enumerate(rows, start=1)]


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _write(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()
