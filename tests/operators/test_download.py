"""Downloads as values: what proves that one is whole, and what is done about one that is not."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    SendError,
    ServerError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.rows import count_csv_rows, count_json_rows
from airflow_provider_jobstatus.exceptions import DestinationError, DownloadIncomplete
from airflow_provider_jobstatus.operators.download import MAX_PAUSE, MAX_TRIES, patiently, save

CSV = b"a,b\n1,2\n3,4\n"
JSON = b'[{"a": 1}, {"a": 3}]'
LENGTH = {"content-length": str(len(CSV))}


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
    return save(reply, str(folder / "rows"), options.get("if_exists", "replace"), count, expected_rows)


def digest(name: str, body: bytes = CSV) -> str:
    return b64encode(hashlib.new(name, body).digest()).decode()


def test_a_download_is_saved_byte_by_byte_and_described(tmp_path: Path) -> None:
    assert download(tmp_path, LENGTH) == {
        "path": str(tmp_path / "rows"),
        "bytes": len(CSV),
        "rows": 2,
        "sha256": hashlib.sha256(CSV).hexdigest(),
        "verified_by": "length, rows",
    }
    assert (tmp_path / "rows").read_bytes() == CSV


@pytest.mark.parametrize("body", [b"\xef\xbb\xbfa,b\r\n1,\xff\r\n", b"a\n\x00\n", b'a\n"x\ny"\n'])
def test_odd_bytes_are_saved_as_they_came(tmp_path: Path, body: bytes) -> None:
    manifest = download(tmp_path, {"content-length": str(len(body))}, body, 1)
    assert (tmp_path / "rows").read_bytes() == body
    assert manifest["rows"] == 1


@pytest.mark.parametrize(
    ("headers", "proof"),
    [
        (LENGTH, "length"),
        ({"transfer-encoding": "chunked"}, "chunks"),
        ({"transfer-encoding": "gzip, Chunked"}, "chunks"),
        ({"content-md5": digest("md5")}, "md5"),
        ({"content-digest": f"sha-256=:{digest('sha256')}:"}, "sha256"),
        ({"repr-digest": f"sha-512=:{digest('sha512')}:"}, "sha512"),
        ({"repr-digest": f"unixsum=:AA==:, sha-256=:{digest('sha256')}:"}, "sha256"),
        ({**LENGTH, "content-md5": f" {digest('md5')} "}, "md5, length"),
    ],
)
def test_each_proof_is_enough_and_is_named(tmp_path: Path, headers: dict[str, str], proof: str) -> None:
    assert download(tmp_path, headers, expected_rows=None)["verified_by"] == proof


@pytest.mark.parametrize(
    "headers",
    [
        {"content-md5": digest("md5", b"other")},
        {"content-digest": f"sha-256=:{digest('sha256', b'other')}:"},
        {"repr-digest": f"sha-256=:{digest('sha256')}:, sha-512=:{digest('sha512', b'other')}:"},
    ],
)
def test_a_wrong_digest_is_refused_whatever_else_fits(tmp_path: Path, headers: dict[str, str]) -> None:
    with pytest.raises(DownloadIncomplete, match="is not the one that its reply announced"):
        download(tmp_path, LENGTH | headers)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["no base64!", "sha-256=:AA", "\u00fc\u00fc\u00fc\u00fc"])
def test_a_digest_that_is_none_proves_nothing_and_refuses_nothing(tmp_path: Path, value: str) -> None:
    assert download(tmp_path, LENGTH | {"content-md5": value})["verified_by"] == "length, rows"
    announced = {"content-digest": f"sha-256=:{value}:"}
    assert download(tmp_path, announced, expected_rows=2)["verified_by"] == "rows"


def test_a_digest_of_a_compressed_body_is_not_compared_with_the_plain_one(tmp_path: Path) -> None:
    headers = {"content-encoding": "gzip", "content-md5": digest("md5", b"compressed"), "content-length": "9"}
    assert download(tmp_path, headers)["verified_by"] == "length, rows"


def test_a_body_that_simply_ends_is_accepted_only_with_the_right_number_of_rows(tmp_path: Path) -> None:
    assert download(tmp_path, {})["verified_by"] == "rows"


@pytest.mark.parametrize("body", [b"a,b\n1,2\n", b"a,b\n1,2\n3,4\n5,6\n", b"a,b\n", b""])
def test_a_body_that_simply_ends_with_other_rows_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DownloadIncomplete, match="rows, the vendor says 2"):
        download(tmp_path, {}, body)
    assert list(tmp_path.iterdir()) == []


def test_nothing_proves_a_body_that_simply_ends_when_nobody_knows_its_rows(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete, match="nothing proves that the download is whole"):
        download(tmp_path, {}, expected_rows=None)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_body_is_no_download_of_rows_that_the_vendor_counts(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete, match="has 0 rows, the vendor says 2"):
        download(tmp_path, {"content-length": "0"}, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_whole_download_with_another_number_of_rows_is_kept_and_shows_its_own(tmp_path: Path) -> None:
    manifest = download(tmp_path, LENGTH, expected_rows=7)
    assert (manifest["rows"], manifest["verified_by"]) == (2, "length")


def test_rows_that_cannot_be_counted_are_none_and_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_jobstatus.core.rows.MAX_CELL", 100)
    body = b'a\n"5 inch,\n' + b"x\n" * 100
    chunks = list(chunked(body))
    manifest = download(tmp_path, {"content-length": str(len(body))}, chunks)
    assert (manifest["rows"], manifest["verified_by"], manifest["bytes"]) == (None, "length", len(body))
    assert (tmp_path / "rows").read_bytes() == body
    with pytest.raises(DownloadIncomplete):
        download(tmp_path, {}, chunks)


@pytest.mark.parametrize("body", [JSON[:-1], JSON + b"x", b"{}", b"", b"<html></html>"])
def test_json_that_is_no_whole_array_is_refused_whatever_its_length(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DownloadIncomplete, match="no whole JSON array"):
        download(tmp_path, {"content-length": str(len(body))}, body, 2, count_json_rows)
    assert list(tmp_path.iterdir()) == []


def test_a_json_array_has_as_many_rows_as_items(tmp_path: Path) -> None:
    assert download(tmp_path, {}, JSON, 2, count_json_rows)["rows"] == 2


def test_a_transport_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CSV
        raise TransportError("no usable reply (gone)", vendor="toy")

    with pytest.raises(TransportError):
        download(tmp_path, LENGTH, broken())
    assert list(tmp_path.iterdir()) == []


def test_a_reply_that_was_not_streamed_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete):
        save(Response(200), str(tmp_path / "rows"), "replace", count_csv_rows, 2)


def test_a_protected_file_is_not_downloaded_over(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"old")
    with pytest.raises(DestinationError):
        download(tmp_path, LENGTH, if_exists="fail")
    assert (tmp_path / "rows").read_bytes() == b"old"


# Patience


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr("airflow_provider_jobstatus.operators.download.time.sleep", made.append)
    return made


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def error(kind: type[VendorError], retry_after: float | None = None) -> VendorError:
    found = kind("answered", vendor="toy", status=500)
    if retry_after is not None:
        found.retry_after = retry_after  # type: ignore[attr-defined]
    return found


def test_what_works_at_once_makes_no_pause(pauses: list[float]) -> None:
    assert patiently(failing()) == "done"
    assert pauses == []


@pytest.mark.parametrize(
    "passing",
    [
        error(TransportError),
        error(SendError),
        error(ServerError),
        error(RateLimited),
        DownloadIncomplete("x"),
    ],
    ids=lambda found: type(found).__name__,
)
def test_what_may_pass_is_tried_again(pauses: list[float], passing: Exception) -> None:
    assert patiently(failing(passing, passing)) == "done"
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "lasting",
    [error(AccessDenied), error(NotFound), error(UnexpectedResponse), DestinationError("x"), KeyError("x")],
    ids=lambda found: type(found).__name__,
)
def test_what_will_not_pass_is_not_tried_again(pauses: list[float], lasting: Exception) -> None:
    with pytest.raises(type(lasting)):
        patiently(failing(lasting))
    assert pauses == []


def test_a_spent_licence_is_not_waited_for(pauses: list[float]) -> None:
    spent = error(RateLimited)
    spent.spent = True  # type: ignore[attr-defined]
    with pytest.raises(RateLimited):
        patiently(failing(spent))
    assert pauses == []


def test_pauses_grow_to_a_bound_and_then_the_last_error_is_raised(pauses: list[float]) -> None:
    errors = [error(ServerError) for _ in range(MAX_TRIES + 3)]
    with pytest.raises(ServerError) as caught:
        patiently(failing(*errors))
    assert caught.value is errors[MAX_TRIES - 1]
    assert len(pauses) == MAX_TRIES - 1
    for tries, pause in enumerate(pauses):
        longest = min(2.0**tries, MAX_PAUSE)
        assert longest / 2 <= pause <= longest
    assert 60 < sum(pauses) < 130


def test_retry_after_is_obeyed(pauses: list[float]) -> None:
    assert patiently(failing(error(RateLimited, 300.0), error(ServerError, 0.0))) == "done"
    assert pauses[0] == 300.0
    assert 1.0 <= pauses[1] <= 2.0  # a vendor that asks for no pause gets ours
