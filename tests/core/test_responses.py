"""Replies, and what is wrong with them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.responses import (
    MAX_JSON_DEPTH,
    MAX_RETRY_AFTER,
    expect,
    expect_json,
    expect_list,
    load_json,
    retry_after,
    unexpected,
)
from tests.support.values import hostile_text, json_values

REQUEST = Request(
    "vendor", "GET", "https://api.example/v1/job?token=hidden", {"Authorization": "Bearer hidden"}
)


def kind_of(status: int) -> type[VendorError] | None:
    """Return what the design says of a status."""
    if status in (200, 201, 202, 204):
        return None
    exact: dict[int, type[VendorError]] = {
        401: AccessDenied,
        403: AccessDenied,
        404: NotFound,
        410: NotFound,
        429: RateLimited,
        408: ServerError,
        425: ServerError,
    }
    if status in exact:
        return exact[status]
    if status >= 500:
        return ServerError
    return RequestRejected if status >= 400 else UnexpectedResponse


# Every status that the table names, each once; Hypothesis does the others.
@pytest.mark.parametrize(
    "status", [100, 200, 204, 299, 300, 304, 400, 401, 403, 404, 408, 410, 418, 425, 429, 500, 999]
)
def test_a_status_of_the_table_is_good_or_its_own_error(status: int) -> None:
    check_status(status)


@given(st.integers(0, 1000))
def test_any_status_is_good_or_its_own_error(status: int) -> None:
    check_status(status)


def check_status(status: int) -> None:
    response = Response(status, body=b"why")
    kind = kind_of(status)
    if kind is None:
        assert expect(REQUEST, response) is response
        return
    with pytest.raises(kind) as caught:
        expect(REQUEST, response)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.vendor, error.method, error.path) == (status, "vendor", "GET", "/v1/job")
    assert str(status) in str(error)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("status", [303, 404, 500])
def test_a_flow_may_expect_a_status_that_is_an_error_elsewhere(status: int) -> None:
    response = Response(status)
    assert expect(REQUEST, response, 303, 404, 500) is response


def test_an_error_holds_what_the_vendor_said_cleaned_and_cut() -> None:
    with pytest.raises(ServerError, match="answered 500 Internal Server Error: a b") as caught:
        expect(REQUEST, Response(500, body=b"a\r\nb\0\xff" + b"x" * 10_000_000))
    assert len(caught.value.reason) == 500
    assert str(caught.value).isprintable()


def test_an_error_without_a_text_says_its_status_only() -> None:
    with pytest.raises(NotFound) as caught:
        expect(REQUEST, Response(404, body=b" \n"))
    assert caught.value.reason == "answered 404 Not Found"


@pytest.mark.parametrize("status", [401, 404, 418, 429, 503])
def test_every_error_of_a_status_knows_how_long_to_stay_away(status: int) -> None:
    with pytest.raises(ApiError) as caught:
        expect(REQUEST, Response(status, {"retry-after": "9"}))
    assert caught.value.retry_after == 9.0


# JSON


@given(json_values)
def test_good_json_is_read_as_it_is(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert load_json(text) == value
        assert load_json(text.encode()) == value


@given(st.one_of(st.binary(max_size=60), hostile_text, st.text('[]{}",:\\ 0123eE.-+ntfNI', max_size=40)))
def test_json_is_read_or_refused_whatever_it_is(body: bytes | str) -> None:
    kind: type[Exception] | None = None
    try:
        load_json(body)
    except ValueError as error:
        kind = type(error)
    assert kind in (None, ValueError)


@given(st.dictionaries(st.text(max_size=5), json_values, min_size=1, max_size=3))
def test_json_cut_anywhere_is_refused(value: dict[str, Any]) -> None:
    raw = json.dumps(value).encode()
    for end in range(len(raw)):
        with pytest.raises(ValueError):  # noqa: PT011 - any text will do
            load_json(raw[:end])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" \r\n", b"<html></html>", b"{} {}", b'{"a": 1} junk', b"{'a': 1}", b'{"a": NaN}'),
        *(b"[Infinity]", b"-Infinity", b'{"status": "running", "status": "done"}'),
        *(b'{"a": [{"b": 1, "b": 1}]}', b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}'),
        *(b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', b'{"a": \xef\xbb\xbf1}', b"\xef\xbb\xbf"),
        *('{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-32-be"), b"1" * 5000, b"[" * 100_000),
        *(b'{"a":' * 100_000, b"[" * (MAX_JSON_DEPTH + 1) + b"]" * (MAX_JSON_DEPTH + 1)),
        b'["\\"", ' + b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH + b"]",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_other_json_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at
        load_json(body)
    assert len(str(caught.value)) < 200
    assert "status" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH,
        b"[" + b"[]," * 1000 + b"[]]",
        json.dumps({"text": "[{" * 1000}).encode(),
        json.dumps(['"[' * 100, '\\"[{' * 100, "\\", "[" * 100]).encode(),
    ],
)
def test_what_is_not_deep_is_read_however_many_brackets_it_has(body: bytes) -> None:
    assert load_json(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 65 + b'"' + b'\\"' * 300_000, b"[" * 65 + b'"' * 1_000_001, b"[" * 65 + b"\\" * 1_000_000),
        b'["' * 80_000,
    ],
    ids=["escaped quotes", "quotes", "backslashes", "brackets and quotes"],
)
def test_a_hostile_body_takes_no_longer_than_its_size_warrants(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="nested deeper"):
        load_json(body)
    assert time.process_time() - began < 5


MANY = 2 * 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" + b"{}," * (MANY // 3) + b"0]", b'["\n",' + b"[]," * (MANY // 3) + b"0]"),
        *(b"[" + b'{"a":1},' * (MANY // 8) + b"0]", b"[" + b'{ "" : 0 },' * (MANY // 11) + b"0]"),
        *(b"[" + b"1," * (MANY // 2) + b"0]", b"[" + (b"7" * 4299 + b",") * (MANY // 4300) + b"0]"),
        *(b"[" + b"1.7976931348623157e+308," * (MANY // 24) + b"0]", b"[" + b"4e-324," * 60_000 + b"0]"),
        b'{"a":' * (MANY // 5),
        b"{" + b",".join(b'"%d":0' % number for number in range(MANY // 11)) + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_an_event_loop_has_no_time_to_parse_is_refused_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(ValueError, match="more values than can be parsed at once"):
        load_json(body)


def test_a_list_of_thousands_of_jobs_and_a_long_text_are_parsed() -> None:
    reason = "12 of 40 rows: 'Label' is empty; see 10:15:30"
    job = {"jobId": "8f14e45f", "jobType": "revenue", "status": "complete", "failureReason": reason}
    jobs = [job | {"percentageProgress": number / 90, "rate": 0.5, "speed": 12.25} for number in range(9000)]
    for value in (
        jobs,
        {"status": "failed", "failureReason": "why? [so], for what was sent; " * 40_000},
    ):
        text = json.dumps(value).encode()
        assert len(text) > 1_000_000
        assert load_json(text) == value


def test_one_byte_order_mark_may_come_first() -> None:
    for body in (b'\xef\xbb\xbf{"a": 1}', b'\xef\xbb\xbf \r\n{"a": 1}', '\ufeff{"a": 1}'):
        assert load_json(body) == {"a": 1}
    assert load_json('{"a": "\ufeff"}'.encode()) == {"a": "\ufeff"}


@pytest.mark.parametrize("status", [203, 206])
def test_what_was_changed_on_the_way_or_is_a_part_is_no_answer(status: int) -> None:
    with pytest.raises(UnexpectedResponse, match=f"answered {status}") as caught:
        expect_json(REQUEST, Response(status, {}, b'{"status": "done"}'))
    assert caught.value.status == status
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        expect_list(REQUEST, Response(status, {}, b"[]"))
    # A part that was asked for is one.
    assert expect(REQUEST, Response(status), status).status == status


@pytest.mark.parametrize(
    ("body", "found"),
    [
        *((b"[]", "list"), (b"null", "NoneType"), (b'"text"', "str"), (b"1", "int"), (b"true", "bool")),
        *((b"", "empty"), (b"<html>", "text/html"), (b'{"a": 1, "a": 2}', "twice")),
    ],
)
def test_a_reply_that_is_no_json_object_is_unexpected(body: bytes, found: str) -> None:
    with pytest.raises(UnexpectedResponse, match=found) as caught:
        expect_json(REQUEST, Response(200, {"content-type": "Text/HTML; charset=utf-8"}, body))
    assert caught.value.status == 200


def test_a_json_object_is_returned_whatever_its_content_type() -> None:
    assert expect_json(REQUEST, Response(200, {}, b'{"status": "done"}')) == {"status": "done"}
    assert expect_json(REQUEST, Response(404, {}, b"{}"), 404) == {}
    with pytest.raises(UnexpectedResponse, match="no content type"):
        expect_json(REQUEST, Response(200, {}, b"x"))
    with pytest.raises(NotFound):
        expect_json(REQUEST, Response(404, {}, b"{}"))


def test_nesting_cannot_hide_in_another_encoding() -> None:
    # In UTF-16 the bytes of this character look like a quote, so that brackets seem to be inside a string.
    body = ('["\u2200", ' + "[" * 20_000).encode("utf-16-le")
    with pytest.raises(ValueError, match="Expecting value"):
        load_json(body)


def test_what_is_unexpected_names_the_request() -> None:
    error = unexpected(REQUEST, "answered nonsense", 200)
    assert str(error) == f"vendor GET {REQUEST.host}/v1/job: answered nonsense"
    assert error.status == 200


# Retry-After

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def asked_to_wait(value: str, date: str | None = None, received_at: float = NOW.timestamp()) -> float | None:
    headers = {"retry-after": value} | ({} if date is None else {"date": date})
    return retry_after(Response(503, headers, received_at=received_at))


@given(
    st.one_of(hostile_text, st.text("0123456789.-+eE, infa:GMT", max_size=30)),
    st.none() | hostile_text,
    st.floats(0, 4e9),
)
def test_a_retry_after_is_within_its_bounds_or_none(value: str, date: str | None, received_at: float) -> None:
    seconds = asked_to_wait(value, date, received_at)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.integers(0, 10**30), st.integers(0, 20))
def test_whole_seconds_are_obeyed_up_to_an_hour(seconds: int, zeros: int) -> None:
    assert asked_to_wait(f" {'0' * zeros}{seconds} ") == min(seconds, MAX_RETRY_AFTER)


moments = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(moments, st.integers(-10_000, 10_000), st.floats(0, 4e9))
def test_a_date_is_read_against_the_vendors_own_clock(theirs: datetime, seconds: int, ours: float) -> None:
    until = http_date(theirs + timedelta(seconds=seconds))
    assert asked_to_wait(until, http_date(theirs), ours) == min(max(seconds, 0), MAX_RETRY_AFTER)


@pytest.mark.parametrize("date", [None, "", "nonsense", "Thu, 99 Foo"])
def test_a_date_is_read_against_our_clock_if_the_vendor_shows_none(date: str | None) -> None:
    assert asked_to_wait(http_date(NOW + timedelta(seconds=90)), date) == 90.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("120", 120.0), ("0", 0.0), ("3601", 3600.0), ("9" * 10_000, 3600.0)),
        *(("Wed, 04 Mar 2026 05:07:07 GMT", 60.0), ("Wed, 04 Mar 2026 05:07:07 -0000", 60.0)),
        *(("Wed, 04 Mar 2026 06:07:07 +0100", 60.0), ("Wed, 04 Mar 2026 05:05:07 GMT", 0.0)),
        *(("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0), ("-5", None), ("1.5", None), ("inf", None)),
        *(("nan", None), ("1e9", None), ("٣", None), ("²", None), ("1, 2", 2.0), ("120, 60", 120.0)),
        *(("120,", 120.0), ("soon, 7", 7.0), ("7,-5, 1.5", 7.0)),
        ("30, Wed, 04 Mar 2026 05:07:07 GMT", 60.0),
        ("Wed, 04 Mar 2026 05:07:07 GMT, Wed, 04 Mar 2026 05:08:07 GMT, 90", 120.0),
        *(("Wednesday, 04-Mar-26 05:07:07 GMT,3", 60.0), ("soon, later", None), (",", None), ("", None)),
        ("soon", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_and_nothing_else(value: str, seconds: float | None) -> None:
    assert asked_to_wait(value) == seconds


def test_a_reply_without_retry_after_asks_for_nothing() -> None:
    assert retry_after(Response(503)) is None
