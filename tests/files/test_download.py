"""Downloads as values: what proves that one is whole, and what is done about one that is not."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.rows import count_csv_rows, count_json_rows
from airflow_provider_jobstatus.exceptions import DestinationError, DownloadIncomplete
from airflow_provider_jobstatus.files.download import named, save
from airflow_provider_jobstatus.files.retry_budget import MAX_PAUSE, MAX_TRIES, RetryBudget

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
    path, if_exists = str(folder / "rows"), options.pop("if_exists", "replace")
    return save(reply, path, if_exists, count, expected_rows, **options)


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


@pytest.mark.parametrize("body", [b"\xef\xbb\xbfa,b\r\n1,\xff\r\n", b"a\n\x01\n", b'a\n"x\ny"\n'])
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
        ({"content-md5": b64decode(digest("md5")).hex()}, "md5"),
        ({"repr-digest": f"sha-256=:{b64decode(digest('sha256')).hex().upper()}:"}, "sha256"),
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


@pytest.mark.parametrize("value", ["no base64!", "sha-256=:AA", "\u00fc\u00fc", "", "AAAA", "0a" * 15])
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


def test_a_number_of_rows_proves_nothing_of_the_last_without_the_end_of_its_line(tmp_path: Path) -> None:
    for body in (CSV[:-1], CSV[:-2], CSV[:-1] + b'""'):
        with pytest.raises(DownloadIncomplete, match="the last row has no line end, and nothing else shows"):
            download(tmp_path, {}, body)
        length = {"content-length": str(len(body))}
        assert download(tmp_path, length, body, if_exists="replace")["verified_by"] == "length, rows"
        (tmp_path / "rows").unlink()


def test_rows_that_end_within_a_quote_are_never_whole(tmp_path: Path) -> None:
    body = b'a,b\n1,2\n3,"4\n'
    for headers in ({}, {"content-length": str(len(body))}, {"content-md5": digest("md5", body)}):
        with pytest.raises(DownloadIncomplete, match="the rows end within a quoted cell"):
            download(tmp_path, headers, body)
    assert list(tmp_path.iterdir()) == []


def test_nothing_proves_a_body_that_simply_ends_when_nobody_knows_its_rows(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete, match="nothing proves that the download is whole"):
        download(tmp_path, {}, expected_rows=None)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_body_is_no_download_of_rows_that_the_vendor_counts(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete, match="has 0 rows, the vendor says 2"):
        download(tmp_path, {"content-length": "0"}, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "expected", "fewest", "problem"),
    [
        (CSV, 7, 0, "has 2 rows, the vendor says 7 \\(text/csv, 12 bytes\\)"),
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
    headers = {"content-length": str(len(body)), "content-type": "text/csv"}
    with pytest.raises(DownloadIncomplete, match=problem):
        download(tmp_path, headers, body, expected, fewest_rows=fewest)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("body", "expected"), [(b"a,b\n", 0), (b"a,b\n", None), (b"", 0), (b"", None)])
def test_a_file_without_rows_is_one_where_the_vendor_counts_none(
    tmp_path: Path, body: bytes, expected: int | None
) -> None:
    headers = {"content-length": str(len(body)), "content-type": "text/csv"}
    manifest = download(tmp_path, headers, body, expected)
    assert (manifest["rows"], manifest["bytes"]) == (0, len(body))


def test_an_empty_body_whose_length_nobody_announced_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadIncomplete, match="the download is empty, and no length announced that"):
        download(tmp_path, {"transfer-encoding": "chunked"}, b"", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
@pytest.mark.parametrize("framed", [{"content-length": "20"}, {"transfer-encoding": "chunked"}])
def test_an_empty_file_that_is_sent_compressed_is_one_as_its_coding_has_an_end(
    tmp_path: Path, coding: str, framed: dict[str, str]
) -> None:
    manifest = download(tmp_path, {"content-encoding": coding, **framed}, b"", None)
    assert (manifest["rows"], manifest["bytes"]) == (0, 0)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (gzip.compress(CSV)[:-5], "cut short"),
        (gzip.compress(CSV)[:-8] + bytes(8), "not what its content coding says"),
        (gzip.compress(CSV) + gzip.compress(CSV)[:12], "cut short"),
    ],
)
def test_a_gzip_that_is_not_whole_is_no_file(tmp_path: Path, body: bytes, problem: str) -> None:
    with pytest.raises(DownloadIncomplete, match=problem):
        download(tmp_path, {"content-length": str(len(body))}, body, None)
    assert list(tmp_path.iterdir()) == []


def test_a_gzip_of_several_members_is_whole(tmp_path: Path) -> None:
    body = gzip.compress(CSV) + gzip.compress(CSV)
    assert download(tmp_path, {"content-length": str(len(body))}, body, None)["bytes"] == len(body)


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


def test_a_media_type_that_repeats_a_secret_is_shown_without_it(tmp_path: Path) -> None:
    headers = {"content-type": "text/Lm4Vt8Qx2Rk7Zp9", "content-length": "6"}
    with pytest.raises(DownloadIncomplete) as caught:
        download(tmp_path, headers, b"<html>", secrets=["Lm4Vt8Qx2Rk7Zp9"])
    assert "text/***" in str(caught.value)


def test_another_kind_of_content_is_refused_and_only_an_error_is_shown(tmp_path: Path) -> None:
    def refused(content_type: str, body: bytes, count: Any = count_csv_rows, **options: Any) -> str:
        headers = {"content-length": str(len(body)), "content-type": content_type}
        with pytest.raises(DownloadIncomplete) as caught:
            download(tmp_path, headers, body, None, count, secrets=["k3y-canary"], **options)
        assert list(tmp_path.iterdir()) == []
        return str(caught.value)

    page = b"<!doctype html><p>k3y-canary for olaf@example.org" + b" ." * 450
    text = refused("text/plain", page, file_format="csv")
    assert "a page of HTML: <!doctype html><p>*** for *** . ." in text
    assert "text/plain, 949 bytes" in text
    assert len(text) < 300
    rows = b'[{"EmailAddress": "ida@example.org"}, {"EmailAddress": "olaf@example.org"}]'
    text = refused("text/csv", rows, file_format="csv")
    assert text == f"instead of the file came JSON with 2 items (text/csv, {len(rows)} bytes)"
    error = (
        b'{"message": "k3y-canary is unknown", "row": {"EmailAddress": "ida@example.org"}, "errors": [1, 2]}'
    )
    text = refused("application/json", error, count_json_rows, file_format="json")
    assert 'an error in JSON: {"message": "*** is unknown", "errors": "2 items"}' in text
    assert "no whole JSON array" in text
    assert "example.org" not in text


def test_a_compressed_file_is_kept_and_its_rows_are_not_counted(tmp_path: Path) -> None:
    body = gzip.compress(CSV * 9)
    headers = {"content-length": str(len(body)), "content-type": "text/csv"}
    manifest = download(tmp_path, headers, body, 5, file_format="csv")
    assert (manifest["rows"], manifest["verified_by"]) == (None, "length")
    assert (tmp_path / "rows").read_bytes() == body


def test_rows_that_cannot_be_counted_are_none_and_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_jobstatus.core.rows.MAX_CELL", 100)
    body = b"a\n" * 4096 + b'"5 inch,\n' + b"x\n" * 100
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


@pytest.mark.parametrize(
    ("given", "coding", "body", "name"),
    [
        ("agents.csv.gz", "gzip", CSV, "agents.csv"),
        ("agents.CSV.GZ", "x-gzip", CSV, "agents.CSV"),
        ("agents.csv.gz", "gzip", gzip.compress(CSV), "agents.csv.gz"),
        ("agents.csv.gz", "", gzip.compress(CSV), "agents.csv.gz"),
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


# Patience


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
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
    assert RetryBudget().try_out(failing()) == "done"
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
    assert RetryBudget().try_out(failing(passing, passing)) == "done"
    assert len(pauses) == 2


def test_what_may_have_been_carried_out_already_is_not_tried_again(pauses: list[float]) -> None:
    once = error(TransportError)
    once.repeatable = False
    with pytest.raises(TransportError):
        RetryBudget().try_out(failing(once))
    assert pauses == []


@pytest.mark.parametrize(
    "lasting",
    [error(AccessDenied), error(NotFound), error(UnexpectedResponse), DestinationError("x"), KeyError("x")],
    ids=lambda found: type(found).__name__,
)
def test_what_will_not_pass_is_not_tried_again(pauses: list[float], lasting: Exception) -> None:
    with pytest.raises(type(lasting)):
        RetryBudget().try_out(failing(lasting))
    assert pauses == []


def status_error(status: int) -> NotFound:
    return NotFound(f"answered {status}", vendor="toy", status=status)


def test_a_404_of_what_is_known_to_be_there_may_pass(pauses: list[float]) -> None:
    attempt = failing(status_error(404), error(ServerError), status_error(404))
    assert RetryBudget().try_out(attempt, if_missing="it should be there") == "done"
    assert len(pauses) == 3


def test_a_404_of_it_that_stays_says_what_that_means(pauses: list[float]) -> None:
    with pytest.raises(NotFound) as caught:
        RetryBudget().try_out(failing(*[status_error(404)] * MAX_TRIES), if_missing="it should be there")
    assert caught.value.reason == f"answered 404; it should be there; tried {MAX_TRIES} times"
    assert len(pauses) == MAX_TRIES - 1


def test_what_is_gone_stays_gone(pauses: list[float]) -> None:
    with pytest.raises(NotFound):
        RetryBudget().try_out(failing(status_error(410)), if_missing="it should be there")
    assert pauses == []


def test_a_spent_licence_is_not_waited_for(pauses: list[float]) -> None:
    spent = error(RateLimited)
    spent.spent = True  # type: ignore[attr-defined]
    with pytest.raises(RateLimited):
        RetryBudget().try_out(failing(spent))
    assert pauses == []


def test_pauses_grow_to_a_bound_and_then_the_last_error_is_raised(pauses: list[float]) -> None:
    errors = [error(ServerError) for _ in range(MAX_TRIES + 3)]
    with pytest.raises(ServerError) as caught:
        RetryBudget().try_out(failing(*errors))
    assert caught.value is errors[MAX_TRIES - 1]
    assert len(pauses) == MAX_TRIES - 1
    for tries, pause in enumerate(pauses):
        longest = min(2.0**tries, MAX_PAUSE)
        assert longest / 2 <= pause <= longest
    assert 60 < sum(pauses) < 130


@pytest.mark.parametrize("kind", [AccessDenied, NotFound, RequestRejected, UnexpectedResponse, RateLimited])
def test_retry_after_is_obeyed_whatever_the_status(pauses: list[float], kind: type[VendorError]) -> None:
    assert RetryBudget().try_out(failing(error(kind, 90.0))) == "done"
    assert pauses == [90.0]


def test_a_refused_login_is_not_repeated(pauses: list[float]) -> None:
    refused = error(AccessDenied, 1.0)
    refused.login = True  # type: ignore[attr-defined]
    with pytest.raises(AccessDenied):
        RetryBudget().try_out(failing(refused))
    assert pauses == []


@pytest.mark.parametrize("kind", [ServerError, RateLimited, NotFound, AccessDenied])
@pytest.mark.parametrize(
    ("wish", "named"), [(301.0, "301 s"), (1800.0, "1800 s"), (3600.0, "at least 3600 s")]
)
def test_a_wish_beyond_the_tasks_patience_is_named_and_not_slept(
    pauses: list[float], kind: type[VendorError], wish: float, named: str
) -> None:
    with pytest.raises(kind, match=f"it asks for a pause of {named}, and a task waits 300 s"):
        RetryBudget().try_out(failing(error(kind, wish)))
    assert pauses == []


def test_wishes_are_obeyed_only_until_the_patience_is_spent_in_all(pauses: list[float]) -> None:
    wishes = [error(kind, 120.0) for kind in (ServerError, NotFound, RateLimited, ServerError)]
    with pytest.raises(RateLimited, match="120 s"):
        RetryBudget().try_out(failing(*wishes))
    assert pauses == [120.0, 120.0]


def test_the_calls_of_a_task_share_its_patience(pauses: list[float]) -> None:
    patience = RetryBudget()
    assert patience.try_out(failing(error(ServerError, 180.0))) == "done"
    with pytest.raises(RateLimited, match="it asks for a pause of 150 s"):
        patience.try_out(failing(error(RateLimited, 150.0)))
    assert pauses == [180.0]


def test_a_wish_is_named_whatever_the_reply_says_besides(pauses: list[float]) -> None:
    lengthy = ServerError("answered 503: " + "busy " * 300, vendor="toy", status=503)
    lengthy.retry_after = 900.0
    with pytest.raises(ServerError) as caught:
        RetryBudget().try_out(failing(lengthy))
    assert "900 s" in str(caught.value)
    assert len(caught.value.reason) <= 500


def test_retry_after_is_obeyed(pauses: list[float]) -> None:
    assert RetryBudget().try_out(failing(error(RateLimited, 300.0), error(ServerError, 0.0))) == "done"
    assert pauses[0] == 300.0
    assert 1.0 <= pauses[1] <= 2.0  # a vendor that asks for no pause gets ours
