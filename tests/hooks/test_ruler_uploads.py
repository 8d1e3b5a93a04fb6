"""What is checked of a file before it is uploaded to Ruler, and how rows become one."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import SettingsError, UnexpectedResponse
from airflow_provider_jobstatus.hooks.ruler.corrections import Corrections
from airflow_provider_jobstatus.hooks.ruler.upload_check import CheckedRows, check_rows
from airflow_provider_jobstatus.hooks.ruler.upload_columns import CURRENCIES, UPLOADS
from airflow_provider_jobstatus.hooks.ruler.upload_rows import rows_as_csv

#: 2026-03-04T12:00:00Z.
NOW = 1772625600.0
REVENUE: dict[str, str] = {
    "RevenueClosedDate": "2026-03-04",
    "CurrencyCode": "GBP",
    "Value": "10.50",
    "EmailAddress": "canary@example.com",
    "Label": "canary-label",
    "Reference": "canary-1",
}
OPPORTUNITY: dict[str, str] = {
    "OpportunityDateTime": "2026-03-04T11:59:59",
    "CurrencyCode": "EUR",
    "OpportunityValue": "-3",
    "PipelineStage": "Won",
    "RaId": "canary-ra",
}


def table(*rows: list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def of(columns: dict[str, str], *rows: dict[str, str]) -> bytes:
    """Return the file of a good row, and of rows that differ from it."""
    rest = [[*(columns | {"Reference": f"R-{number}"} | row).values()] for number, row in enumerate(rows)]
    if "Reference" not in columns:
        rest = [row[: len(columns)] for row in rest]
    return table(list(columns), list(columns.values()), *rest)


def check(content: bytes, kind: str = "revenue", size: int = 7) -> CheckedRows:
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return check_rows(UPLOADS[kind], pieces, NOW)


def mistakes(content: bytes, kind: str = "revenue") -> str:
    with pytest.raises(SettingsError) as caught:
        check(content, kind)
    text = str(caught.value)
    assert text.startswith("nothing was sent: ")
    assert "canary" not in text
    return text.removeprefix("nothing was sent: ")


@pytest.mark.parametrize(
    ("kind", "content", "rows"),
    [
        ("revenue", of(REVENUE), 1),
        ("revenue", b"\xef\xbb\xbf" + of(REVENUE, {}, {}), 3),
        ("revenue", of(REVENUE, {"Label": 'a\r\nb "c", ü'}), 2),
        ("revenue", of(REVENUE).replace(b"\r\n", b"\n").replace(b"\n", b"\n\n").rstrip(), 1),
        (
            "revenue",
            table(
                [*REVENUE, "Label"], [*REVENUE.values(), ""], ["2026-03-04", "GBP", "1", "a", "", "b", "x"]
            ),
            2,
        ),
        ("revenue", of(REVENUE | {"LeadDate": ""}, {"LeadDate": "2026-03-01"}), 2),
        *(
            ("revenue", of(REVENUE | {"RevenueClosedDate": text}), 1)
            for text in ("2026-03-04T12:00:00", "2026-03-04T11:00:00.123456", "0001-01-01")
        ),
        *(("revenue", of(REVENUE | {"Value": text}), 1) for text in ("0", "-0.5", "+1.", ".5", "1" * 50)),
        ("opportunity", of(OPPORTUNITY), 1),
        ("opportunity", of(OPPORTUNITY | {"Label": "", "Reference": "same"}, {"Reference": "same"}), 2),
    ],
)
def test_a_file_in_order_passes(kind: str, content: bytes, rows: int) -> None:
    assert check(content, kind) == CheckedRows(rows)


BAD_CELLS: list[tuple[dict[str, str], str]] = [
    (
        {"RevenueClosedDate": ""},
        "row 3, RevenueClosedDate: is no date; give yyyy-MM-dd, yyyy-MM-ddTHH:mm:ss or yyyy-MM-ddTHH:mm:ss."
        "ffffff",
    ),
    *(
        ({"RevenueClosedDate": text}, "row 3, RevenueClosedDate: is no date; give")
        for text in (
            "04/03/2026",
            "2026-03-04 10:00:00",
            "2026-03-04T10:00",
            "2026-03-04T10:00:00.123",
            "20260304",
            " 2026-03-04",
            "٢026-03-04",
        )
    ),
    *(
        ({"RevenueClosedDate": text}, "row 3, RevenueClosedDate: has a time zone; give UTC without one")
        for text in ("2026-03-04T10:00:00Z", "2026-03-04T10:00:00+00:00", "2026-03-04T10:00:00.123456-0100")
    ),
    ({"RevenueClosedDate": "2026-02-30"}, "row 3, RevenueClosedDate: is no date of the calendar"),
    ({"RevenueClosedDate": "2026-03-04T25:00:00"}, "row 3, RevenueClosedDate: is no date of the calendar"),
    ({"RevenueClosedDate": "2026-03-05"}, "row 3, RevenueClosedDate: lies in the future"),
    ({"RevenueClosedDate": "2026-03-04T12:00:00.000001"}, "row 3, RevenueClosedDate: lies in the future"),
    *(
        ({"CurrencyCode": text}, "row 3, CurrencyCode: is no code of ISO 4217, such as GBP")
        for text in ("", "gbp", "XXQ", " GBP", "£")
    ),
    *(
        ({"Value": text}, "row 3, Value: is no decimal number: digits, and a point before a fraction")
        for text in ("", "1,000.00", "1 000", "10,50", "NaN", "inf", "1e3", "£5", "٣", ".", "1.2.3")
    ),
    ({"EmailAddress": " "}, "row 3 has none of RaId, EmailAddress, PhoneNumber, PayloadValue"),
    ({"Label": " "}, "row 3, Label: is empty"),
    ({"Reference": "  "}, "row 3, Reference: is empty"),
    ({"Reference": "canary-1"}, "row 3, Reference: stands in an earlier row, too"),
]


@pytest.mark.parametrize(("row", "message"), BAD_CELLS)
def test_a_mistake_is_named_by_row_and_column_and_never_by_what_stands_there(
    row: dict[str, str], message: str
) -> None:
    text = mistakes(of(REVENUE, row))
    assert text.startswith(message)
    assert not any(cell.strip() and cell.strip() in text for cell in row.values() if len(cell.strip()) > 3)


def without(*names: str) -> dict[str, str]:
    return {name: cell for name, cell in REVENUE.items() if name not in names}


HEADERS: list[tuple[str, bytes, str]] = [
    ("revenue", b"", "the file is empty"),
    ("revenue", b"\r\n\r\n", "the file is empty"),
    ("revenue", table(list(REVENUE)), "the file has a header and no rows"),
    ("revenue", of(without("Label", "Value")), "the header misses 'Value', 'Label'"),
    (
        "revenue",
        of(without("EmailAddress")),
        "the header has none of 'RaId', 'EmailAddress', 'PhoneNumber', 'PayloadValue'",
    ),
    (
        "opportunity",
        of(REVENUE),
        "the header misses 'OpportunityDateTime', 'OpportunityValue', 'PipelineStage'",
    ),
    (
        "revenue",
        of(REVENUE).replace(b",", b";"),
        "the header misses 'RevenueClosedDate', 'CurrencyCode', 'Value', 'Label', 'Reference' (cells are "
        "separated by ',', not by ';')",
    ),
    ("revenue", table(list(REVENUE.values())), "the header misses"),
    (
        "revenue",
        table([*REVENUE, "Value"], [*REVENUE.values(), "1"]),
        "the header has 'Value' more than once, which only 'Label' may be",
    ),
    ("revenue", of(without("Value") | {"value ": "1"}), "column 6 of the header must be written 'Value'"),
    ("revenue", of(REVENUE | {"": ""}), "column 7 of the header has no name"),
    (
        "revenue",
        of({"RowNumber": "1"} | REVENUE | {"ErrorMessage": "no"}),
        "the header has 'RowNumber', as a file of failures; download it with reupload_ready=True, or drop "
        "the column; the header has 'ErrorMessage',",
    ),
    ("revenue", of(REVENUE) + b"2026-03-04,GBP\r\n", "row 3 has 2 cells, the header 6"),
    ("revenue", of(REVENUE)[:-2] + b",\r\n", "row 2 has 7 cells, the header 6"),
    (
        "revenue",
        of(REVENUE)[:-2] + b'x"\r\n"',
        "the file cannot be read as CSV in UTF-8: unexpected end of data",
    ),
    (
        # Two quotes that are not closed, which would swallow the rows between them.
        "revenue",
        of(REVENUE, {}, {}, {})
        .replace(b"canary-label", b'"19 inch', 1)
        .replace(b"canary-label", b'"21 inch', 1),
        "the file cannot be read as CSV in UTF-8: ",
    ),
    (
        "revenue",
        of(REVENUE).decode().encode("utf-16"),
        "the file cannot be read as CSV in UTF-8: it is in UTF-16; save it as UTF-8",
    ),
    (
        "revenue",
        of(REVENUE).decode().encode("utf-16-le"),
        "the file cannot be read as CSV in UTF-8: it is in UTF-16-LE;",
    ),
    (
        "revenue",
        of(REVENUE, {"Label": "ü"}).decode().encode("latin-1"),
        "the file cannot be read as CSV in UTF-8: byte 171 is no UTF-8",
    ),
    ("revenue", of(REVENUE)[:-2] + b"\xc3", "the file cannot be read as CSV in UTF-8: byte 129 is no UTF-8"),
    ("revenue", of(REVENUE, {"Label": "\0"}), "the file cannot be read as CSV in UTF-8: byte 171 is a NUL"),
    ("revenue", b"PK\x03\x04" + bytes(50), "the file cannot be read as CSV in UTF-8: it is compressed"),
]


@pytest.mark.parametrize(("kind", "content", "message"), HEADERS)
def test_a_file_that_cannot_be_one_of_ruler_is_refused(kind: str, content: bytes, message: str) -> None:
    assert mistakes(content, kind).startswith(message)


def test_twenty_mistakes_are_named_and_the_others_counted() -> None:
    text = mistakes(of(REVENUE, *[{"Value": "x"}] * 30))
    assert [f"row {number}," in text for number in (3, 22, 23)] == [True, True, False]
    assert text.endswith("; and 10 more")


def test_columns_that_no_page_has_are_remarked_upon() -> None:
    assert "'Notes'" in check(of(REVENUE | {"Notes": "x"})).remarks[0]


def test_the_codes_of_currencies_have_three_letters() -> None:
    assert len(CURRENCIES) == 187
    assert {len(code) for code in CURRENCIES} == {3}


def test_rows_become_a_file_in_the_order_of_the_template() -> None:
    zone = timezone(timedelta(hours=2))
    rows: list[dict[str, Any]] = [
        {
            "Label": ["a", "b"],
            "Value": Decimal("1E+3"),
            "RevenueClosedDate": datetime(2026, 3, 4, 1, tzinfo=zone),
            "Extra": 7,
        },
        {
            "Label": "c",
            "Value": 1e-7,
            "LeadDate": datetime(2026, 3, 4, 1, 2, 3, 4, UTC),
            "EmailAddress": None,
        },
        {"RevenueClosedDate": date(2026, 3, 4), "Value": 5, "Label": [], "Reference": 'x,"\n'},
    ]
    assert list(csv.reader(io.StringIO(rows_as_csv(UPLOADS["revenue"], rows).decode(), newline=""))) == [
        ["RevenueClosedDate", "Value", "EmailAddress", "LeadDate", "Label", "Label", "Reference", "Extra"],
        ["2026-03-03T23:00:00", "1000", "", "", "a", "b", "", "7"],
        ["", "0.0000001", "", "2026-03-04T01:02:03.000004", "c", "", "", ""],
        ["2026-03-04", "5", "", "", "", "", 'x,"\n', ""],
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text", "rows is a str; give a list of dicts"),
        ({"Value": 1}, "rows is a dict; give a list of dicts"),
        ([{}, ["canary"]], "rows[1] is a list; give a dict"),
        ([{7: "canary"}], "rows[0] has a key that is no text"),
        (
            [{"RevenueClosedDate": datetime(2026, 3, 4)}],  # noqa: DTZ001
            "rows[0], RevenueClosedDate: is a datetime without a time zone",
        ),
        *(
            ([{"Value": value}], f"rows[0], Value: is a {type(value).__name__} that no cell can hold")
            for value in (True, float("nan"), Decimal("Infinity"), ["canary"], {"a": 1}, b"canary")
        ),
        ([{"Label": "\ud800"}], "rows hold a lone surrogate"),
    ],
)
def test_a_value_that_no_cell_can_hold_is_refused_by_its_place(rows: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        rows_as_csv(UPLOADS["revenue"], rows)
    assert str(caught.value).startswith(message)
    assert "canary" not in str(caught.value)


def test_what_ruler_has_added_to_rejected_rows_is_taken_out_and_summed_up() -> None:
    rejected = Corrections()
    kept = list(
        rejected.kept(
            iter(
                [
                    ["RowNumber", "Label", "Label", "Value", "ErrorMessage"],
                    ["3", "a", "b", "", "no value"],
                    ["9", "ragged", "no value"],
                    ["4", "a", "b", "c", "too\nmany", "cells"],
                ]
            )
        )
    )
    assert kept == [["Label", "Label", "Value"], ["a", "b", ""], ["ragged"], ["a", "b", "c", "too\nmany"]]
    assert rejected.summary() == {
        "rows": 3,
        "errors": [
            {"message": "no value", "rows": 2, "row_numbers": ["3", "9"]},
            {"message": "cells", "rows": 1, "row_numbers": ["4"]},
        ],
    }


def test_rejected_rows_without_their_messages_are_not_taken_for_some_with() -> None:
    with pytest.raises(UnexpectedResponse, match="last column is not ErrorMessage"):
        list(Corrections().kept(iter([["RowNumber", "Value"], ["1", "2"]])))
    assert list(Corrections().kept(iter([["Value", "ErrorMessage"], ["1", "2"]]))) == [["Value"], ["1"]]
    assert list(Corrections().kept(iter([]))) == []
