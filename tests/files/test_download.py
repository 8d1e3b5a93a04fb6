"""What proves that a download is whole, and what is refused, as values."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.json_rows import count_json_rows
from airflow_provider_jobstatus.exceptions import DestinationError, DownloadIncomplete
from airflow_provider_jobstatus.files.download import named, save

CSV = b"a,b\n1,2\n3,4\n"
JSON = b'[{"a": 1}, {"a": 3}]'
GZIP = gzip.compress(CSV)
CHUNKED = {"transfer-encoding": "chunked"}


def length(body: bytes = CSV) -> dict[str, str]:
    return {"content-length": str(len(body))}


def chunked(body: bytes, size: int = 5) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def download(
    folder: Path,
    headers: dict[str, str],
    body: bytes | Iterable[bytes] = CSV,
    expected_rows: int | None = 2,
    count: Callable[[Iterable[bytes]], int | None] = count_csv_rows,
    **options: Any,
) -> dict[str, Any]:
    chunks = chunked(body) if isinstance(body, bytes) else iter(body)
    reply = Response(200, headers, chunks=chunks)
    path, if_exists = str(folder / "rows"), options.pop("if_exists", "replace")
    return save(reply, path, if_exists, count, expected_rows, **options)


def refused(folder: Path, *arguments: Any, **options: Any) -> str:
    """Return why a download is refused; it leaves nothing."""
    with pytest.raises(DownloadIncomplete) as caught:
        download(folder, *arguments, **options)
    assert list(folder.iterdir()) == []
    return str(caught.value)


def digest(name: str, body: bytes = CSV) -> str:
    return b64encode(hashlib.new(name, body).digest()).decode()


def test_a_download_is_saved_byte_by_byte_and_described(tmp_path: Path) -> None:
    assert download(tmp_path, length()) == {
        "path": str(tmp_path / "rows"),
        "bytes": len(CSV),
        "rows": 2,
        "sha256": hashlib.sha256(CSV).hexdigest(),
        "verified_by": "length, rows",
    }
    assert (tmp_path / "rows").read_bytes() == CSV


@pytest.mark.parametrize(
    ("headers", "proof"),
    [
        (length(), "length"),
        (CHUNKED, "chunks"),
        ({"transfer-encoding": "gzip, Chunked"}, "chunks"),
        ({"content-md5": digest("md5")}, "md5"),
        ({"content-digest": f"sha-256=:{digest('sha256')}:"}, "sha256"),
        ({"repr-digest": f"sha-512=:{digest('sha512')}:"}, "sha512"),
        ({"repr-digest": f"unixsum=:AA==:, sha-256=:{digest('sha256')}:"}, "sha256"),
        ({**length(), "content-md5": f" {digest('md5')} "}, "md5, length"),
        ({"content-md5": b64decode(digest("md5")).hex()}, "md5"),
        ({"x-goog-hash": f"crc32c=n03x6A==, md5={digest('md5')}"}, "md5"),
        ({"x-amz-checksum-sha256": digest("sha256")}, "sha256"),
        ({"x-amz-checksum-sha1": digest("sha1")}, "sha1"),
        ({"digest": f"SHA={digest('sha1')},SHA-512={digest('sha512')}"}, "sha1, sha512"),
        # Of the checksums of parts, and of what was unpacked since it was stored.
        ({**length(), "x-amz-checksum-sha256": f"{digest('sha256', b'parts')}-3"}, "length"),
        (
            {
                **length(),
                "x-goog-hash": f"md5={digest('md5', b'packed')}",
                "x-goog-stored-content-encoding": "gzip",
            },
            "length",
        ),
        ({"repr-digest": f"sha-256=:{b64decode(digest('sha256')).hex().upper()}:"}, "sha256"),
    ],
)
def test_each_proof_is_enough_and_is_named(tmp_path: Path, headers: dict[str, str], proof: str) -> None:
    assert download(tmp_path, headers, expected_rows=None)["verified_by"] == proof


@pytest.mark.parametrize(
    "headers",
    [
        {"content-md5": digest("md5", b"other")},
        {"x-goog-hash": f"md5={digest('md5', b'other')}"},
        {"x-amz-checksum-sha256": digest("sha256", b"other")},
        {"x-amz-checksum-sha1": digest("sha1", b"other")},
        {"digest": f"sha-256={digest('sha256', b'other')}"},
        {"content-digest": f"sha-256=:{digest('sha256', b'other')}:"},
        {"repr-digest": f"sha-256=:{digest('sha256')}:, sha-512=:{digest('sha512', b'other')}:"},
    ],
)
def test_a_wrong_digest_is_refused_whatever_else_fits(tmp_path: Path, headers: dict[str, str]) -> None:
    assert "is not the one that its reply announced" in refused(tmp_path, length() | headers)


@pytest.mark.parametrize("value", ["no base64!", "sha-256=:AA", "\u00fc\u00fc", "", "AAAA", "0a" * 15])
def test_a_digest_that_is_none_proves_nothing_and_refuses_nothing(tmp_path: Path, value: str) -> None:
    assert download(tmp_path, length() | {"content-md5": value})["verified_by"] == "length, rows"
    announced = {"content-digest": f"sha-256=:{value}:"}
    assert download(tmp_path, announced, expected_rows=2)["verified_by"] == "rows"


CODED = {"content-encoding": "gzip", "content-md5": digest("md5", b"compressed"), "content-length": "9"}
EMPTY_CODED = [
    {"content-encoding": coding, **framed}
    for coding in ("gzip", "x-gzip", "deflate")
    for framed in ({"content-length": "20"}, CHUNKED)
]
ODD_BYTES = [b"\xef\xbb\xbfa,b\r\n1,\xff\r\n", b"a\n\x01\n", b'a\n"x\ny"\n']
#: Headers, body, rows that the vendor counts; rows that are found, and what proves that they are all.
WHOLE: list[tuple[dict[str, str], bytes, int | None, int | None, str]] = [
    ({}, CSV, 2, 2, "rows"),
    (CODED, CSV, 2, 2, "length, rows"),  # its digest is of the compressed body
    *((length(body), body, 1, 1, "length, rows") for body in ODD_BYTES),
    *(
        (length(body), body, rows, 0, "length, rows" if rows == 0 else "length")
        for body in (b"a,b\n", b"")
        for rows in (0, None)
    ),
    *(
        (headers, b"", None, 0, "length" if "content-length" in headers else "chunks")
        for headers in EMPTY_CODED
    ),
    (length(GZIP * 2), GZIP * 2, None, None, "length"),  # a gzip of several members
]


@pytest.mark.parametrize(("headers", "body", "expected", "rows", "proof"), WHOLE)
def test_a_whole_download_is_kept_as_it_came(
    tmp_path: Path, headers: dict[str, str], body: bytes, expected: int | None, rows: int | None, proof: str
) -> None:
    manifest = download(tmp_path, headers, body, expected)
    assert (tmp_path / "rows").read_bytes() == body
    assert (manifest["rows"], manifest["bytes"], manifest["verified_by"]) == (rows, len(body), proof)


IN_A_QUOTE = b'a,b\n1,2\n3,"4\n'
#: Headers, body and rows that the vendor counts.
NOT_WHOLE: list[tuple[dict[str, str], bytes, int | None, str]] = [
    *(({}, body, 2, "rows, the vendor says 2") for body in (b"a,b\n1,2\n", CSV + b"5,6\n", b"a,b\n", b"")),
    *(
        (headers, IN_A_QUOTE, 2, "the rows end within a quoted cell")
        for headers in ({}, length(IN_A_QUOTE), {"content-md5": digest("md5", IN_A_QUOTE)})
    ),
    ({}, CSV, None, "nothing proves that the download is whole: no length, digest or row total"),
    ({"content-length": "0"}, b"", 2, "has 0 rows, the vendor says 2"),
    (CHUNKED, b"", None, "the download is empty, and no length announced that"),
    *(
        (length(body), body, None, problem)
        for body, problem in (
            (GZIP[:-5], "cut short"),
            (GZIP[:-8] + bytes(8), "not what its content coding says"),
            (GZIP + GZIP[:12], "cut short"),
        )
    ),
]


@pytest.mark.parametrize(("headers", "body", "expected", "problem"), NOT_WHOLE)
def test_what_is_not_known_to_be_whole_is_refused(
    tmp_path: Path, headers: dict[str, str], body: bytes, expected: int | None, problem: str
) -> None:
    assert problem in refused(tmp_path, headers, body, expected)


@pytest.mark.parametrize("body", [CSV[:-1], CSV[:-2], CSV[:-1] + b'""'])
def test_a_number_of_rows_proves_nothing_of_the_last_without_the_end_of_its_line(
    tmp_path: Path, body: bytes
) -> None:
    assert "the last row has no line end, and nothing else shows" in refused(tmp_path, {}, body)
    assert download(tmp_path, length(body), body)["verified_by"] == "length, rows"


@pytest.mark.parametrize(
    ("body", "expected", "fewest", "problem"),
    [
        (CSV, 7, 0, "has 2 rows, the vendor says 7 (text/csv, 12 bytes)"),
        (CSV, 1, 0, "has 2 rows, the vendor says 1"),
        (CSV, 0, 0, "has 2 rows, the vendor says 0"),
        (b"a,b\n", 3, 0, "has 0 rows, the vendor says 3"),
        (b"a,b\n", None, 1, "has 0 rows, the vendor says at least 1"),
        (b"", None, 1, "has 0 rows, the vendor says at least 1"),
    ],
)
def test_a_whole_download_with_another_number_of_rows_than_the_vendors_is_refused(
    tmp_path: Path, body: bytes, expected: int | None, fewest: int, problem: str
) -> None:
    headers = {**length(body), "content-type": "text/csv"}
    assert problem in refused(tmp_path, headers, body, expected, fewest_rows=fewest)


@pytest.mark.parametrize("body", [JSON[:-1], JSON + b"x", b"{}", b"", b"<html></html>"])
def test_json_that_is_no_whole_array_is_refused_whatever_its_length(tmp_path: Path, body: bytes) -> None:
    assert "no whole JSON array" in refused(tmp_path, length(body), body, 2, count_json_rows)


def test_a_json_array_has_as_many_rows_as_items(tmp_path: Path) -> None:
    assert download(tmp_path, {}, JSON, 2, count_json_rows)["rows"] == 2


def test_another_kind_of_content_is_refused_and_only_an_error_is_shown(tmp_path: Path) -> None:
    def shown(content_type: str, body: bytes, count: Any = count_csv_rows, **options: Any) -> str:
        headers = {**length(body), "content-type": content_type}
        return refused(tmp_path, headers, body, None, count, secrets=["k3y-canary"], **options)

    page = b"<!doctype html><p>k3y-canary for olaf@example.org" + b" ." * 450
    text = shown("text/plain", page, file_format="csv")
    assert "a page of HTML: <!doctype html><p>*** for *** . ." in text
    assert "text/plain, 949 bytes" in text
    assert len(text) < 300
    rows = b'[{"EmailAddress": "ida@example.org"}, {"EmailAddress": "olaf@example.org"}]'
    text = shown("text/csv", rows, file_format="csv")
    assert text == f"instead of the file came JSON with 2 items (text/csv, {len(rows)} bytes)"
    error = (
        b'{"message": "k3y-canary is unknown", "row": {"EmailAddress": "ida@example.org"}, "errors": [1, 2]}'
    )
    text = shown("application/json", error, count_json_rows, file_format="json")
    assert 'an error in JSON: {"message": "*** is unknown", "errors": "2 items"}' in text
    assert "no whole JSON array" in text
    assert "example.org" not in text
    # A media type may repeat a secret, too.
    assert "text/***" in shown("text/k3y-canary", b"<html>")


def test_a_compressed_file_is_kept_and_its_rows_are_not_counted(tmp_path: Path) -> None:
    body = gzip.compress(CSV * 9)
    headers = {**length(body), "content-type": "text/csv"}
    manifest = download(tmp_path, headers, body, 5, file_format="csv")
    assert (manifest["rows"], manifest["verified_by"]) == (None, "length")
    assert (tmp_path / "rows").read_bytes() == body


@pytest.mark.parametrize("size", [500, 60_000, 400_000])
@pytest.mark.parametrize("piece", [1, 4096])
def test_a_compressed_file_that_is_damaged_is_refused_whatever_its_length(
    tmp_path: Path, size: int, piece: int
) -> None:
    if piece == 1 and size > 60_000:
        piece = 1023
    packed = gzip.compress(random.Random(size).randbytes(size))  # noqa: S311 - nothing to guess
    broken = bytes([*packed[:-7], packed[-7] ^ 1, *packed[-6:]])
    for body in (packed[:-5], broken, packed[: len(packed) // 2]):
        assert "compressed" in refused(tmp_path, length(body), chunked(body, piece), None) or (
            "coding" in refused(tmp_path, length(body), chunked(body, piece), None)
        )
    assert download(tmp_path, length(packed), chunked(packed, piece), None)["bytes"] == len(packed)


@pytest.mark.parametrize(
    "body", [b'[{"a": nul}, {}]', b"[{'a': 1}, {}]", b'[,{"a": 1}, {}]', b'[{"a" 1}, {}]']
)
def test_what_only_ends_as_json_is_none(tmp_path: Path, body: bytes) -> None:
    assert "and is none" in refused(tmp_path, length(body), body, 2, count_json_rows, file_format="json")


@pytest.mark.parametrize(
    "body",
    [
        b"6;chunk-signature=0a9b\r\na\n1\n2\n\r\n0;chunk-signature=77\r\n\r\n",
        b"6\r\na\n1\n2\n\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n",
        b"<meta charset=utf-8 http-equiv=refresh content='3; url=/a,b'>\n",
        b"<form action=/sso,1 method=post>\n<input name=SAMLResponse>\n",
        b"<body onload=go()>\n<form action=/sso,1>\n",
        b"<br />\n<b>Parse error</b>:  syntax error, unexpected in <b>/a.php</b> on line <b>1</b><br />\n",
        b"PHP Fatal error:  Out of memory (allocated 2, 3)\nin /a.php\n",
        b"\xef\xbb\xbf\xef\xbb\xbf<html>\nlog in, please</html>\n",
        b"\xff\xd8\xff\xe1\0,\n1,2\n",
        b"GIF89a,\n1,2\n",
        b"\x7fELF\2,\n1,2\n",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1,\n1,2\n",
        b"PAR1\x15,\n1,2\n",
        b"7z\xbc\xaf\x27\x1c\0,\n",
        bz2.compress(CSV),
        lzma.compress(CSV),
    ],
)
def test_what_is_known_by_its_beginning_is_no_csv(tmp_path: Path, body: bytes) -> None:
    headers = {**length(body), "content-type": "text/csv"}
    assert "instead of the file" in refused(tmp_path, headers, body, None, file_format="csv")


@pytest.mark.parametrize(
    "body",
    [
        b"<b>a</b>,<i>b</i>\n1,2\n",
        b"BZh,b\n1,2\n",
        b"8\r\n1\r\n",
        b"8\r\n123456\r\n9\r\n",
        b"form,meta\n1,2\n",
    ],
)
def test_what_only_begins_alike_is_kept(tmp_path: Path, body: bytes) -> None:
    headers = {**length(body), "content-type": "text/csv"}
    assert download(tmp_path, headers, body, None, file_format="csv")["bytes"] == len(body)


def test_a_page_that_says_when_to_come_again_is_heard(tmp_path: Path) -> None:
    headers = {"content-type": "text/html", "retry-after": "40"}
    with pytest.raises(DownloadIncomplete) as caught:
        download(tmp_path, headers, b"<html>Back soon</html>", file_format="csv")
    assert caught.value.retry_after == 40.0


def test_rows_that_cannot_be_counted_are_none_and_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_jobstatus.core.csv_rows.MAX_CELL", 100)
    body = b"a\n" * 4096 + b'"5 inch,\n' + b"x\n" * 100
    assert refused(tmp_path, {}, body)
    manifest = download(tmp_path, length(body), body)
    assert (manifest["rows"], manifest["verified_by"], manifest["bytes"]) == (None, "length", len(body))
    assert (tmp_path / "rows").read_bytes() == body


def test_a_transport_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CSV
        raise TransportError("no usable reply (gone)", vendor="toy")

    with pytest.raises(TransportError):
        download(tmp_path, length(), broken())
    assert list(tmp_path.iterdir()) == []


def test_a_reply_that_was_not_streamed_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete):
        save(Response(200), str(tmp_path / "rows"), "replace", count_csv_rows, 2)


def test_a_protected_file_is_not_downloaded_over(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"old")
    with pytest.raises(DestinationError):
        download(tmp_path, length(), if_exists="fail")
    assert (tmp_path / "rows").read_bytes() == b"old"


# Names


@pytest.mark.parametrize(
    ("given", "coding", "body", "name"),
    [
        ("agents.csv.gz", "gzip", CSV, "agents.csv"),
        ("agents.CSV.GZ", "x-gzip", CSV, "agents.CSV"),
        ("agents.csv.gz", "gzip", GZIP, "agents.csv.gz"),
        ("agents.csv.gz", "", GZIP, "agents.csv.gz"),
        ("agents.csv.gz", "", CSV, "agents.csv.gz"),
        ("agents.csv", "gzip", CSV, "agents.csv"),
    ],
)
def test_what_has_been_unpacked_on_the_way_is_not_named_as_packed(
    given: str, coding: str, body: bytes, name: str
) -> None:
    headers = {"content-disposition": f"attachment; filename={given}", "content-encoding": coding}
    found, reply = named(Response(200, headers, chunks=chunked(body)), "report", ())
    assert found == name
    assert b"".join(reply.chunks or ()) == body


@pytest.mark.parametrize(
    "disposition",
    [
        "attachment; filename=rows-Lm4Vt8Qx2Rk7Zp9.csv",
        'attachment; filename="Lm4Vt8Qx2Rk7Zp9"',
        "attachment; filename*=UTF-8''%4Cm4Vt8Qx2Rk7Zp9.csv",
    ],
)
def test_a_name_that_repeats_a_secret_is_none(disposition: str) -> None:
    reply = Response(200, {"content-disposition": disposition})
    assert named(reply, "failures.csv", ["Lm4Vt8Qx2Rk7Zp9"])[0] == "failures.csv"
    assert named(reply, "failures.csv", ["another-secret"])[0] != "failures.csv"
