"""Rows in a stream of bytes."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.csv_rows import MAX_CELL, count_csv_rows, csv_rows
from airflow_provider_jobstatus.core.json_rows import count_entries, count_json_rows
from tests.support.values import chunks_of, every_cut, json_values

cells = st.text(
    st.one_of(
        st.sampled_from(list(",\"\r\n ü€🎉;'")), st.characters(exclude_categories=["Cs"], min_codepoint=1)
    ),
    max_size=6,
)
tables = st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6)


def written(rows: list[list[str]], end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def by_csv(body: bytes) -> list[list[str]] | None:
    """Return the rows of the module, or None if they end within a quoted cell: more goes on with it."""
    text = body.decode("utf-8-sig", "replace")
    if list(csv.reader(io.StringIO(f"{text}\nx", newline="")))[-1] != ["x"]:
        return None
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def counted(chunks: Iterable[bytes], to_line_end: bool = False) -> int | str | None:
    try:
        return count_csv_rows(chunks, to_line_end)
    except ValueError as error:
        return str(error)


def read(chunks: Iterable[bytes], to_line_end: bool = False) -> list[list[str]] | str:
    try:
        return list(csv_rows(chunks, to_line_end))
    except csv.Error as error:
        return str(error)


OPEN_QUOTE = "the rows end within a quoted cell"
OPEN_ROW = "the last row has no line end, and nothing else shows that it is whole"


@given(st.data(), tables, st.sampled_from(["\r\n", "\n"]))
def test_rows_are_those_that_were_written_however_they_are_cut(
    data: st.DataObject, rows: list[list[str]], end: str
) -> None:
    body = written(rows, end)
    assert list(csv_rows(data.draw(chunks_of(body)))) == rows
    assert count_csv_rows(data.draw(chunks_of(body))) == max(len(rows) - 1, 0)


@given(
    st.data(),
    st.lists(st.sampled_from([b"a", b'"', b",", b"\r", b"\n", b"\xff", b"\xc3", b"\xbc"]), max_size=30),
)
def test_rows_of_anything_are_those_of_the_csv_module(data: st.DataObject, parts: list[bytes]) -> None:
    body = b"".join(parts)
    expected = by_csv(body)
    rows, count = (OPEN_QUOTE, OPEN_QUOTE) if expected is None else (expected, max(len(expected) - 1, 0))
    assert read(data.draw(chunks_of(body))) == rows
    assert counted(data.draw(chunks_of(body))) == count


@pytest.mark.parametrize("length", range(7))
def test_every_text_of_a_few_signs_has_the_rows_of_the_csv_module_in_one_piece_and_in_bytes(
    length: int,
) -> None:
    for signs in itertools.product('a",\r\n', repeat=length):
        text = "".join(signs)
        body = text.encode()
        rows = by_csv(body)
        expected = OPEN_QUOTE if rows is None else max(len(rows) - 1, 0)
        assert counted([body]) == expected, text
        assert counted(body[at : at + 1] for at in range(length)) == expected, text


ROWS = 'Row,Why\r\n1,"not\r\na number"\r\n\r\n2,"a ""quote""\n"\r\n3,plain\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_a_row_that_is_cut_anywhere_is_no_row_where_only_its_line_end_shows_the_end(encoding: str) -> None:
    for cut in range(2, len(ROWS) + 1):
        body = ROWS[:cut].encode(encoding)
        whole = by_csv(ROWS[:cut].encode())
        if whole is None:
            assert read([body], True) in (OPEN_QUOTE, OPEN_ROW)
            assert counted([body], True) == counted([body]) == read([body]) == OPEN_QUOTE
        elif ROWS[cut - 1] in "\r\n":
            assert read([body], True) == whole
            half = ROWS[cut - 1] == "\r" and "\n" in ROWS[:cut]
            assert counted([body], True) == (OPEN_ROW if half else len(whole) - 1)
        else:
            assert read([body], True) == counted([body], True) == OPEN_ROW
            assert counted([body]) == len(whole) - 1


def test_rows_are_the_same_when_cut_at_every_offset() -> None:
    body = '\ufeffName,Label,Label\r\n"a\r\nb","c""d",ü€🎉\r\n\r\nragged\r\n'.encode()
    expected = [["Name", "Label", "Label"], ["a\r\nb", 'c"d', "ü€🎉"], ["ragged"]]
    for chunks in every_cut(body):
        assert list(csv_rows(chunks)) == expected
        assert count_csv_rows(chunks) == 2


@pytest.mark.parametrize(
    ("body", "count"), [(b"", 0), (b"\r\n", 0), (b"a,b", 0), (b"a\n1", 1), (b"\n\na\n\n1\n\n", 1)]
)
def test_rows_below_the_header_are_counted(body: bytes, count: int) -> None:
    assert count_csv_rows([body]) == count


TEXT = "id,name,note\r\n" + "".join(f'{n},"Zoë {n}","two\nlines, {n}"\r\n' for n in range(7))
#: No first character of these shows where the zeros stand.
FOREIGN = ["имя,значение\n" + "ы,я\n" * 4, "上海,一\n" + "上,上\n" * 4, "ё\nЁ\n"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4096, 100_000])
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_text_in_another_encoding_has_the_same_rows(encoding: str, marked: bool, size: int) -> None:
    body = (("\ufeff" if marked else "") + TEXT * 50).encode(encoding)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    rows = by_csv((TEXT * 50).encode())
    assert rows is not None
    assert count_csv_rows(iter(chunks)) == len(rows) - 1
    assert list(csv_rows(iter(chunks))) == rows


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_an_encoding_that_nothing_shows_is_not_counted_wrong(encoding: str, text: str) -> None:
    rows = text.count("\n") - 1
    assert count_csv_rows([text.encode(encoding)]) is None
    assert count_csv_rows([("\ufeff" + text).encode(encoding)]) == rows
    assert count_csv_rows([text.encode()]) == rows


def test_a_stray_nul_stays_in_its_cell_and_is_not_counted_past() -> None:
    body = b"a,b\r\n1,x\0y\r\n"
    assert list(csv_rows([body])) == [["a", "b"], ["1", "x\0y"]]
    assert count_csv_rows([body]) is None


def zipped(body: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("rows.csv", body)
    return file.getvalue()


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zipped, lambda body: zipped(body, zipfile.ZIP_STORED), bz2.compress, lzma.compress],
)
@pytest.mark.parametrize("repeated", [1, 300])
def test_the_rows_of_a_compressed_file_are_not_counted_and_all_of_it_is_pulled(
    pack: Callable[[bytes], bytes], repeated: int
) -> None:
    body = pack(TEXT.encode() * repeated)
    for size in (1, 4096, len(body)):
        pulled = iter([body[at : at + size] for at in range(0, len(body), size)])
        assert count_csv_rows(pulled) is None
        assert next(pulled, None) is None


def test_the_rows_of_a_compressed_file_are_not_read_as_text() -> None:
    for body in (gzip.compress(TEXT.encode()), zipped(TEXT.encode(), zipfile.ZIP_STORED)):
        with pytest.raises(csv.Error, match="compressed"):
            next(csv_rows([body]))
        assert count_json_rows([body]) is None
        assert count_entries([body[:9], body[9:]]) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_text_that_breaks_off_within_a_character_is_not_counted(encoding: str) -> None:
    body = TEXT.encode(encoding) + b"x"
    pulled = iter([body[at : at + 7] for at in range(0, len(body), 7)])
    assert count_csv_rows(pulled) is None
    assert next(pulled, None) is None
    with pytest.raises(ValueError, match=r"the text begins as utf-.* and is none"):
        count_json_rows([json.dumps([TEXT]).encode(encoding) + b"x"])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_json_in_another_encoding_or_behind_a_mark_has_the_same_items(encoding: str, mark: str) -> None:
    entries = [{"a": "ö, [", "b": number} for number in range(3)]
    for chunks in (
        lambda body: [body],
        lambda body: (body[at : at + 1] for at in range(len(body))),
    ):
        report = (mark + "\n " + json.dumps({"entries": entries, "total": 3})).encode(encoding)
        assert count_entries(chunks(report)) == 3
        assert count_json_rows(chunks((mark + json.dumps(entries)).encode(encoding))) == 3


def test_bytes_that_are_no_text_do_not_lose_a_row() -> None:
    assert list(csv_rows([b"a,b\r\n\xff\xfe,\xc3\r\n"])) == [["a", "b"], ["\ufffd\ufffd", "\ufffd"]]


def test_a_long_cell_is_read_and_the_process_keeps_its_limit() -> None:
    before = 131_072
    csv.field_size_limit(before)
    assert list(csv_rows([b"a\r\n", b"x" * MAX_CELL])) == [["a"], ["x" * MAX_CELL]]
    assert csv.field_size_limit() == before


def test_two_streams_of_rows_share_no_limit_with_each_other_or_with_the_process() -> None:
    long, longer = b"x" * 200_000, b"y" * 300_000
    body = [b"a\r\n", long + b"\r\n", longer + b"\r\n"]
    before = csv.field_size_limit(1000)
    try:
        first, second = csv_rows(iter(body)), csv_rows(iter(body))
        assert (next(first), next(second), next(second)) == (["a"], ["a"], [long.decode()])
        assert csv.field_size_limit() == 1000
        second.close()  # type: ignore[attr-defined]
        csv.field_size_limit(77)
        assert list(first) == [[long.decode()], [longer.decode()]]
        assert csv.field_size_limit() == 77
        with pytest.raises(csv.Error):
            list(csv.reader(["z" * 78]))
    finally:
        csv.field_size_limit(before)


def test_a_quote_that_never_ends_cannot_be_counted_but_everything_is_pulled() -> None:
    pulled = []

    def chunks() -> Iterator[bytes]:
        for number in range(12):
            pulled.append(number)
            yield b'a\r\n"' if number == 0 else b"x" * (1024 * 1024) + b"\n"

    before = 131_072
    csv.field_size_limit(before)
    assert count_csv_rows(chunks()) is None
    assert pulled == list(range(12))
    with pytest.raises(csv.Error):
        list(csv_rows(chunks()))
    assert csv.field_size_limit() == before


def test_a_line_of_any_length_is_one_row() -> None:
    assert count_csv_rows([b"a\n", *[b"x" * 1024 * 1024] * 20, b",y\n1\n"]) == 2


def test_rows_are_pulled_as_they_are_asked_for() -> None:
    pulled = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            pulled.append(number)
            yield b"%d," % number + b"x" * 100_000 + b"\r\n"

    rows = csv_rows(chunks())
    assert next(rows)[0] == "0"
    assert len(pulled) < 10
    rows.close()  # type: ignore[attr-defined]


def test_an_error_while_reading_is_not_an_end() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a\r\n1\r\n"
        raise LookupError("the connection broke")

    with pytest.raises(LookupError):
        list(csv_rows(broken()))
    with pytest.raises(LookupError):
        count_csv_rows(broken())
    with pytest.raises(LookupError):
        count_json_rows(broken())


spaces = st.text(" \t\r\n", max_size=3).map(str.encode)


def test_the_items_are_the_same_when_cut_at_every_offset() -> None:
    items = [{"a": '\\"[,]{}\\\\', "b": [1, [2, 3], {}]}, "x,y", [], -1.5e9, None, "\\", '"']
    for chunks in every_cut(json.dumps(items, indent=1).encode()):
        assert count_json_rows(chunks) == len(items)


@given(st.data(), st.lists(json_values, max_size=4))
def test_an_array_that_ends_early_is_refused(data: st.DataObject, items: list[Any]) -> None:
    body = json.dumps(items).encode()
    for end in range(len(body)):
        with pytest.raises(ValueError, match="whole"):
            count_json_rows([body[:end]])


@given(json_values.filter(lambda value: not isinstance(value, list)))
def test_what_is_no_array_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="whole"):
        count_json_rows([json.dumps(value).encode()])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"[] []", b"[]]", b"[1]2", b"2[1]", b"[],", b"]", b"][", b'{"rows": [1]}', b"{[1]}"),
        *(b"{1: [1]}", b'"[1]"', b"[]{}", b"<html>"),
    ],
)
def test_what_is_more_than_an_array_is_refused(body: bytes) -> None:
    for chunks in every_cut(body):
        with pytest.raises(ValueError, match="whole"):
            count_json_rows(chunks)


@pytest.mark.parametrize(
    ("report", "rows"),
    [
        (b'{"entries": [{"a": 1}, {"a": 2}], "total": 2}', 2),
        (b'{"total": 0, "entries": []}', 0),
        (b'{"total": "2", "entries": [1, 2], "status": "done", "errors": [], "success": true}', 2),
        (b'{"total": -1, "entries": [1], "state": null, "error": null, "ok": "yes"}', 1),
        (b'{"entries": [1, 2, 3]}', 3),
        (b"[{}, {}]", 2),
        (b'{"rows": 3}', None),
        *((b'{"entries": [1, 2], "total": 2}' + space, 2) for space in (b"\n", b" \r\n\t ")),
        # Rows on lines of their own.
        (b'{"a": 1}\n{"a": 2}\n', None),
        (b'{"total": 5, "agent": "x"}\n{"total": 6, "agent": "y"}', None),
        (b'{"entries": 3}\n{"entries": 4}\n', None),
        *((b"[1]\n[2]", None), (b"[1, 2]\n[3, 4]\n", None), (b'{"a": 1}\n\n[2]\n', None)),
    ],
)
def test_a_reports_rows_are_its_entries(report: bytes, rows: int | None) -> None:
    for size in (1, 3, len(report)):
        assert count_entries(report[at : at + size] for at in range(0, len(report), size)) == rows


FOLLOWED = "something follows the end of the report"


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (b'{"entries": [1], "total": 2}', "holds 1 entries and says that it has 2"),
        (b'{"entries": [], "total": "7"}', "holds 0 entries and says that it has 7"),
        (b'{"total": 3.0, "entries": [1, 2]}', "holds 2 entries and says that it has 3"),
        (b'{"entries": [{"a": 1}], "entries": []}', "no whole JSON"),
        (b'{"entries": [], "status": "Failed"}', "its 'status' says"),
        (b'{"state": "still processing", "entries": []}', "its 'state' says"),
        (b'{"entries": [' + b'{"a": 1},' * 9000 + b'{}], "success": false}', "its 'success' says"),
        (b'{"entries": [], "ok": 0}', "its 'ok' says"),
        (b'{"entries": [1], "errors": [{"code": 3}]}', "its 'errors' says"),
        *((b'{"entries": [1, ', "no whole JSON"), (b"", "no whole JSON"), (b"<html>", "no whole JSON")),
        (b'{"job": {"id": "1", "status": "done"}}', "the job instead of its report"),
        (b'{"entries": [1, 2], "total": 2}\n{"message": "internal"}\n', FOLLOWED),
        (b'{"total": 7, "entries": []} {"entries": [], "total": 7}', FOLLOWED),
        *((b'{"entries": [[]]}<html>', FOLLOWED), (b'{"entries": [{}]}}', FOLLOWED)),
        (b'{"entries": [{}]}\r\n"timeout"', FOLLOWED),
        *((b'[{"a": 1}, {"a": 2}]\n{"fault": "x"}', FOLLOWED), (b"[1, 2]]", FOLLOWED)),
    ],
)
def test_a_report_that_is_none_is_refused(report: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        count_entries([report])
