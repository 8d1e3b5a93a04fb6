"""Files that are made of rows, each read again by another reader."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from typing import Any

import pytest

from airflow_provider_jobstatus.core.row_layout import RowLayout
from airflow_provider_jobstatus.core.row_runs import RowRun, RunFinder
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.files.parquet_file import GROUP_BYTES, ParquetFile, load_pyarrow
from airflow_provider_jobstatus.files.row_files import BLOCK_BYTES, CsvFile, DigestFile, RowFile

LAYOUT = RowLayout(
    shared={"name": "text", "path": "integers", "labels": "texts", "count": "integer"},
    own={"id": "text", "text": "text", "score": "number", "good": "flag", "more": "json"},
    rare=frozenset({"score", "good", "more"}),
)
COLUMNS = [*LAYOUT.shared, *LAYOUT.own]
SHARED = {"name": 'a "b" \\ ü\n', "path": [1, 2], "labels": ["x,", None], "count": 7}
TEXTS = [
    "",
    "a",
    '"',
    "\\",
    '\\"',
    "\\n",
    "\n\r\t\b\f/",
    "ü✓😀",
    "=1+1",
    "\x00\x7f",
    '", "text": "',
    '}, {"id": "',
    "a,b",
]
KINDS = {"ndjson": RowFile, "csv": CsvFile, "parquet": ParquetFile}


def run_of(texts: list[str], **spacing: Any) -> RowRun:
    raw = json.dumps([{"id": text, "text": text} for text in texts], **spacing).encode()
    (_, run, _), _ = RunFinder("id", "text").fold(raw, True)
    assert isinstance(run, RowRun)
    return run


def written(kind: str, rows: Any) -> tuple[bytes, RowFile, list[bytes]]:
    """Return a file, what has written it, and what was watched."""
    raw, seen = io.BytesIO(), list[bytes]()
    file = DigestFile(raw)
    table = KINDS[kind](file, LAYOUT, seen.append)
    rows(table)
    table.close()
    assert (file.size, file.sha256) == (len(raw.getvalue()), hashlib.sha256(raw.getvalue()).hexdigest())
    return raw.getvalue(), table, seen


def read(kind: str, raw: bytes) -> list[dict[str, Any]]:
    """Return the rows of a file; in CSV, what is no text is JSON, and empty if it is nothing."""
    match kind:
        case "ndjson":
            return [dict.fromkeys(COLUMNS) | json.loads(line) for line in raw.decode().split("\n")[:-1]]
        case "csv":
            texts = {name for name, kind in {**LAYOUT.shared, **LAYOUT.own}.items() if kind == "text"}
            reader = csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True)
            assert reader.fieldnames == COLUMNS
            return [
                {name: cell if name in texts else json.loads(cell or "null") for name, cell in row.items()}
                for row in reader
            ]
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(io.BytesIO(raw)).to_pylist()
    return [row | {"more": json.loads(row["more"] or "null")} for row in found]


@pytest.mark.parametrize("spacing", [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
@pytest.mark.parametrize("kind", KINDS)
def test_another_reader_finds_the_same_rows(kind: str, spacing: dict[str, Any]) -> None:
    own = {"id": "1", "text": None, "score": 3, "good": True, "more": [{"a": 'ü"'}]}

    def rows(table: RowFile) -> None:
        shared = table.share(SHARED)
        table.add_run(shared, run_of(TEXTS, **spacing))
        table.add(shared, own)
        table.add(table.share({"name": "z"}), {})
        table.add_run(shared, run_of(["last"]))

    raw, table, _ = written(kind, rows)
    empty = dict.fromkeys(COLUMNS)
    found = read(kind, raw)
    assert [(row["id"], row["text"]) for row in found[: len(TEXTS)]] == [(text, text) for text in TEXTS]
    assert found[len(TEXTS) :] == [
        {**empty, **SHARED, **own, "text": "" if kind == "csv" else None},
        {**empty, "name": "z"} | ({"id": "", "text": ""} if kind == "csv" else {}),
        {**empty, **SHARED, "id": "last", "text": "last"},
    ]
    assert (table.rows, table.replaced) == (len(TEXTS) + 3, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_spacing_and_the_way_a_row_came_leave_no_trace(kind: str) -> None:
    files = {
        written(kind, lambda table, run=run: table.add_run(table.share(SHARED), run))[0]
        for run in (
            run_of(["a", "b"]),
            run_of(["a", "b"], indent=3),
            run_of(["a", "b"], separators=(",", ":")),
        )
    }
    files.add(
        written(
            kind, lambda table: [table.add(table.share(SHARED), {"id": text, "text": text}) for text in "ab"]
        )[0]
    )
    assert len(files) == 1


def test_csv_tells_an_empty_text_from_none_and_ends_its_lines_as_the_rfc_says() -> None:
    raw, _, _ = written("csv", lambda table: table.add(table.share({"name": ""}), {"id": "=1", "text": None}))
    assert raw.split(b"\r\n")[1:] == [b'"",,,,"=1",,,,', b""]


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_becomes_a_mark_and_is_counted(kind: str) -> None:
    raw, table, _ = written(
        kind, lambda table: table.add(table.share({}), {"id": "a\ud800b", "text": "\udc00"})
    )
    assert [(row["id"], row["text"]) for row in read(kind, raw)] == [("a\ufffdb", "\ufffd")]
    assert table.replaced == 2


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_watched_and_written_in_blocks(kind: str) -> None:
    count = (BLOCK_BYTES + GROUP_BYTES) // 1000

    def rows(table: RowFile) -> None:
        for number in range(count):
            table.add(table.share(SHARED), {"id": str(number), "text": "x" * 1000})

    raw, _, seen = written(kind, rows)
    assert max(map(len, seen)) < 1.1 * BLOCK_BYTES
    assert [row["id"] for row in read(kind, raw)] == [str(number) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_rows_is_whole(kind: str) -> None:
    raw, table, seen = written(kind, lambda table: None)
    assert (read(kind, raw), table.rows, seen) == ([], 0, [])


def test_parquet_says_what_to_install_where_pyarrow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadSettings, match=r"pyarrow.*airflow-provider-jobstatus\[parquet\]"):
        load_pyarrow()
