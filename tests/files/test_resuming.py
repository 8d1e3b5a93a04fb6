"""A stream that breaks goes on where it broke, or not at all; and one that is too large ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    SettingsError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.exceptions import DownloadIncomplete
from airflow_provider_jobstatus.files.resuming import MAX_RESUMPTIONS, Resumption
from airflow_provider_jobstatus.files.retry_budget import RetryBudget
from airflow_provider_jobstatus.files.size_limit import limited

CONTENT = bytes(range(100))
ETAG = '"v1"'


def cut() -> TransportError:
    return TransportError("the connection was cut", vendor="talkdesk")


def stream(begin: int, end: int | None) -> Iterator[bytes]:
    """Yield the content from a position on; break at ``end``."""
    yield from (CONTENT[place : place + 7] for place in range(begin, 100 if end is None else end, 7))
    if end is not None:
        raise cut()


def first(end: int | None, **headers: str) -> Response:
    told = {
        "etag": ETAG,
        "content-length": "100",
        **{key.replace("_", "-"): text for key, text in headers.items()},
    }
    return Response(200, {key: text for key, text in told.items() if text}, chunks=stream(0, end))


def part(begin: int, end: int | None = None, status: int = 206, **headers: str) -> Response:
    told = {"content-range": f"bytes {begin}-99/100", "content-length": str(100 - begin), "etag": ETAG}
    told |= {key.replace("_", "-"): text for key, text in headers.items()}
    return Response(status, {key: text for key, text in told.items() if text}, chunks=stream(begin, end))


def read(reply: Response, *rests: Response | Exception) -> tuple[bytes, list[tuple[int, str]]]:
    """Return what is read of a reply that may be continued by these, and what was asked for."""
    left, asked = list(rests), []

    def open_rest(begin: int, etag: str) -> Response:
        asked.append((begin, etag))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return b"".join(Resumption(RetryBudget()).continued(reply, open_rest).chunks or ()), asked


@given(st.lists(st.integers(1, 13), min_size=1, unique=True))
def test_a_stream_that_breaks_goes_on_at_the_very_byte(breaks: list[int]) -> None:
    places = sorted(7 * number for number in breaks)
    rests = [part(begin, end) for begin, end in zip(places, [*places[1:], None], strict=True)]
    assert read(first(places[0]), *rests) == (CONTENT, [(place, ETAG) for place in places])


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": ""},
        {"etag": 'W/"v1"'},
        {"etag": "v1"},
        {"etag": '""'},
        {"etag": '"v1"\r\nHost: x'},
        {"content_length": ""},
        {"content_encoding": "gzip"},
    ],
)
def test_without_a_strong_validator_and_a_length_nothing_is_resumed(headers: dict[str, str]) -> None:
    with pytest.raises(TransportError, match=r"cut\Z"):
        read(first(21, **headers))
    with pytest.raises(TransportError):  # nothing came at all
        read(first(0))


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (part(21, status=200), "answered 200"),
        (part(21, content_range=""), "another part"),
        (part(21, content_range="bytes 20-99/100"), "another part"),
        (part(21, content_range="bytes 21-98/100"), "another part"),
        (part(21, content_range="bytes 21-99/101"), "another part"),
        (part(21, content_range="bytes 21-99/*"), "another part"),
        (part(21, content_length="78"), "another length"),
        (part(21, content_encoding="gzip"), "encoded"),
        (part(21, etag='"v2"'), "may be another one"),
        (part(21, etag=""), "may be another one"),
        (UnexpectedResponse("gave 2 signed addresses", vendor="talkdesk"), "gave 2 signed addresses"),
        (NotFound("answered 404", vendor="talkdesk"), "answered 404"),
    ],
)
def test_what_is_not_the_rest_of_the_file_ends_the_try(rest: Response | VendorError, problem: str) -> None:
    with pytest.raises(TransportError, match=f"the connection was cut; the rest .*{problem}"):
        read(first(21), rest)


def test_a_label_of_the_upload_is_no_encoding() -> None:
    assert read(first(21, content_encoding="aws-chunked"), part(21, content_encoding="UTF-8"))[0] == CONTENT


def test_a_part_may_come_without_its_length() -> None:
    assert read(first(21), part(21, content_length=""))[0] == CONTENT


def test_parts_that_are_not_as_long_as_the_file_are_no_file() -> None:
    for wrong in (b"", CONTENT):
        rest = part(21, content_length="")
        with pytest.raises(DownloadIncomplete, match="its length is 100"):
            read(first(21), Response(206, rest.headers, chunks=iter([wrong])))


def test_a_pause_that_is_asked_for_holds_for_the_next_try_as_well() -> None:
    error = NotFound("answered 404", vendor="talkdesk")
    error.retry_after = 3000.0
    with pytest.raises(TransportError) as caught:
        read(first(21), error)
    assert caught.value.retry_after == 3000.0


def test_a_refusal_ends_the_task_not_the_try() -> None:
    with pytest.raises(AccessDenied):
        read(first(21), AccessDenied("answered 401", vendor="talkdesk"))


def test_an_outage_is_waited_out_in_the_middle_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    assert read(first(21), cut(), cut(), part(21))[0] == CONTENT
    assert len(pauses) == 2


def test_a_task_resumes_so_often_and_no_more() -> None:
    resumption, asked = Resumption(RetryBudget()), []

    def open_rest(begin: int, _: str) -> Response:
        asked.append(begin)
        return part(begin, begin + 7)

    for _ in range(3):
        with pytest.raises(TransportError):
            list(resumption.continued(first(7), open_rest).chunks or ())
    assert len(asked) == MAX_RESUMPTIONS


@pytest.mark.parametrize(
    ("max_bytes", "headers", "fits"),
    [
        (None, {}, True),
        (100, {}, True),
        (99, {}, False),
        (99, {"content_length": ""}, False),
        (100, {"content_length": ""}, True),
        # What is packed has another length on its way.
        (100, {"content_length": "101", "content_encoding": "gzip"}, True),
        (99, {"content_length": "20", "content_encoding": "gzip"}, False),
    ],
)
def test_a_file_may_have_so_many_bytes_and_no_more(
    max_bytes: int | None, headers: dict[str, Any], fits: bool
) -> None:
    reply = first(None, **headers)
    if fits:
        assert b"".join(limited(reply, max_bytes).chunks or ()) == CONTENT
        return
    passed: list[bytes] = []
    with pytest.raises(SettingsError, match=f"max_bytes, which is {max_bytes}"):
        passed.extend(limited(reply, max_bytes).chunks or ())
    assert sum(map(len, passed)) == (0 if headers == {} else 98)
