"""The CSV files of Ruler Analytics: the templates, and the rows that were rejected.

Sources: https://docs.rulerapi.com/batch-jobs/revenue-template ,
https://docs.rulerapi.com/batch-jobs/opportunity-template , https://rulerapi.com/batch-jobs/revenue-failures
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

IDENTIFIERS = ("RaId", "EmailAddress", "PhoneNumber", "PayloadValue")
COLUMNS = {
    "revenue": (
        *("RevenueClosedDate", "CurrencyCode", "Value"),
        *(*IDENTIFIERS, "LeadDate", "Label", "Reference", "AdditionalDataProperties"),
    ),
    "opportunity": (
        *("OpportunityDateTime", "CurrencyCode", "OpportunityValue", "PipelineStage"),
        *(*IDENTIFIERS, "Label", "Reference", "AdditionalDataProperties"),
    ),
}
JOB_TYPES = tuple(COLUMNS)

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


_SAMPLE = {
    "RevenueClosedDate": "2024-01-15T10:00:00",
    "OpportunityDateTime": "2024-01-15T10:00:00",
    "CurrencyCode": "GBP",
    "Value": "125.50",
    "OpportunityValue": "125.50",
    "PipelineStage": "Quoted",
    "EmailAddress": "jo@example.com",
    "LeadDate": "2024-01-02",
    "Label": "New customer",
    "Reference": "INV-1001",
    "AdditionalDataProperties": "Name=Region,Value=North;Name=Branch,Value=Leeds",
}


def template(job_type: str) -> str:
    """Return the file that a user fills in: the header and one row to be removed."""
    columns = COLUMNS[job_type]
    return _write([columns, [_SAMPLE.get(name, "") for name in columns]])


DEMO_HEADER = [*COLUMNS["revenue"][:9], "Label", *COLUMNS["revenue"][9:]]
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
