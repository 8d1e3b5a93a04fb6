"""How a file is uploaded to Ruler, what of a reply is believed, and how a lost job is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.files.upload_source import UploadBytes
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from tests.support.flows import finish, hook_of, reply

CONTENT = UploadBytes(b"a,b\r\n1,2\r\n")
CELL = "canary@example.com"


def place(extra: dict[str, str] | None = None, *given: Any, job_type: str = "revenue") -> Any:
    hook = hook_of(RulerHook, extra={"site_id": "s-1"} | (extra or {}))
    return hook.upload_place(job_type, *given)


def upload(answer: Response, **fields: Any) -> Any:
    hook = hook_of(RulerHook, extra={"site_id": "s-1"})
    return finish(hook.converse(hook.upload_operation(place(**fields), CONTENT)), answer)


def test_a_file_is_sent_as_the_one_part_of_a_form() -> None:
    hook = hook_of(RulerHook, extra={"site_id": "s-1"})
    request: Request = next(hook.upload_operation(place(), CONTENT).flow())
    assert (request.method, request.path) == ("POST", "/v1/s-1/revenue/batch")
    kind, _, boundary = request.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    body: Any = request.body
    sent = b"".join(body.chunks())
    assert (
        sent
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="revenue.csv"\r\n'
            f"Content-Type: text/csv\r\n\r\na,b\r\n1,2\r\n\r\n--{boundary}--\r\n"
        ).encode()
    )
    assert body.length == len(sent)
    again: Request = next(hook.upload_operation(place(), CONTENT).flow())
    assert again.headers["Content-Type"] != request.headers["Content-Type"]


@pytest.mark.parametrize(
    ("extra", "given", "path", "part"),
    [
        ({}, (), "/s-1/opportunity/batch", "file"),
        ({"upload_path": "/x/{site_id}-{job_type}", "part_name": "csv"}, (), "/x/s-1-opportunity", "csv"),
        ({"upload_path": "/x", "part_name": "csv"}, (None, "/y/{site_id}", "data[0]"), "/y/s-1", "data[0]"),
        ({}, ("s+2",), "/s%2B2/opportunity/batch", "file"),
    ],
)
def test_the_task_names_the_place_before_the_connection_before_the_default(
    extra: dict[str, str], given: Any, path: str, part: str
) -> None:
    found = place(extra, *given, job_type="opportunity")
    assert (found.path, found.part_name) == (path, part)


@pytest.mark.parametrize(
    "path", ["x", "/", "/a/", "/a//b", "/../b", "/a/.", "/a?b", "/{site}/b", "/{{site_id}}", "/a b", "/%2e"]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match=r"^upload_path is no path"):
        place({}, None, path)
    with pytest.raises(SettingsError, match=r"^extra 'upload_path' of connection 'mine' is no path"):
        place({"upload_path": path})


def test_a_site_is_needed_and_a_part_has_a_name_that_needs_no_quotes() -> None:
    with pytest.raises(SettingsError, match="site_id is not set"):
        place({"site_id": ""})
    with pytest.raises(SettingsError, match="site_id: the siteId"):
        place({}, "a/b")
    with pytest.raises(SettingsError, match="part_name is no name of a part"):
        next(hook_of(RulerHook).upload_operation(place({}, None, None, 'a"b'), CONTENT).flow())


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
@pytest.mark.parametrize("told", [{"jobId": "j-1"}, {"jobId": "j-1", "siteId": "S-1", "more": [1]}])
def test_any_2xx_that_names_a_job_is_one(status: int, told: dict[str, Any]) -> None:
    assert upload(reply(told, status)) == "s-1/j-1"


def test_a_number_is_an_id_as_well() -> None:
    assert upload(reply({"jobId": 7})) == "s-1/7"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        [],
        {},
        *({"jobId": value} for value in (None, "", True, 1.5, [1], "a/b", "..", "a b", {})),
        {"jobId": "j", "siteId": "other"},
    ],
)
def test_a_2xx_that_names_no_job_is_unexpected(body: Any) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        upload(reply(body, 202))
    assert not caught.value.repeatable


#: Replies that are no 2xx: the error, and whether it is certain that no job was made.
REFUSALS: list[tuple[Response, type[VendorError], bool]] = [
    (reply({"errors": []}, 400), RequestRejected, True),
    (reply([{"row": 1}], 400), RequestRejected, True),
    (reply(b"Bad", 400), RequestRejected, False),
    (reply({"message": "no"}, 422), RequestRejected, True),
    (reply(b"", 401), AccessDenied, True),
    (reply(b"<html>", 401), AccessDenied, False),
    (reply(b"<html>", 403), AccessDenied, False),
    (reply({"message": "no"}, 403), AccessDenied, True),
    (reply({"message": "no"}, 404), NotFound, True),
    (reply(b"<html>", 404), NotFound, False),
    (reply(b"", 405), RequestRejected, False),
    (reply(b"<html>", 413), RequestRejected, False),
    (reply({"message": "no"}, 429), RateLimited, True),
    (reply(b"<html>", 429), RateLimited, False),
    (reply({"message": "no"}, 409), RequestRejected, True),
    (reply(b"<html>", 451), RequestRejected, False),
    (reply({"message": "no"}, 500), ServerError, False),
    (reply(b"", 302, location="/login"), UnexpectedResponse, False),
]


@pytest.mark.parametrize(("answer", "kind", "again"), REFUSALS)
def test_only_a_refusal_that_shows_that_there_is_no_job_may_be_followed_by_another_upload(
    answer: Response, kind: type[VendorError], again: bool
) -> None:
    with pytest.raises(kind) as caught:
        upload(answer)
    assert caught.value.repeatable is again


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("body", [b"", b"<html>", {"message": "no"}])
def test_where_nothing_takes_an_upload_the_setting_is_named(status: int, body: Any) -> None:
    with pytest.raises(VendorError, match="set upload_path of the task or extra 'upload_path'"):
        upload(reply(body, status))


def test_a_400_without_a_reason_names_the_part() -> None:
    with pytest.raises(RequestRejected, match="the name of its part, 'file', may be: set part_name"):
        upload(reply(b"", 400))


#: Bodies of a 400, and what is shown of them.
EXPLAINED: list[tuple[Any, str]] = [
    (
        {"errors": [{"row": 3, "column": "value", "message": f"'{CELL}' is not a valid decimal"}]},
        "row 3, Value: ... is not a valid decimal",
    ),
    (
        [{"rowNumber": "17", "field": CELL, "errorMessage": "CurrencyCode is required."}],
        "row 17: CurrencyCode is required",
    ),
    ({"message": f"Row 5: EmailAddress {CELL} is invalid"}, "Row ... EmailAddress ... is invalid"),
    (
        [f"row 5: {CELL} is invalid", "line #12 is too short"],
        "row 5: row ... is invalid; row 12: line ... is too short",
    ),
    (
        {"errors": {"Reference": ["is a duplicate of canary"], "7": ["canary"]}},
        "Reference: is a duplicate of ...",
    ),
    (
        {"title": "Invalid file", "status": 400, "traceId": "canary", "detail": "canary canary"},
        "Invalid file",
    ),
    ({"row": "canary", "Value": "canary", "cells": ["canary"]}, ""),
    (
        {"errors": [{"row": number, "message": "is empty"} for number in range(1, 31)]},
        "; ".join(f"row {number}: is empty" for number in range(1, 21)) + "; and 10 more",
    ),
]


@pytest.mark.parametrize(("body", "shown"), EXPLAINED)
def test_of_a_refusal_rows_and_plain_words_are_shown_and_never_a_cell(body: Any, shown: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        upload(reply(body, 400))
    assert "canary" not in str(caught.value)
    text = caught.value.reason.removeprefix("answered 400 Bad Request").removeprefix("; ")
    assert text.startswith(shown[:200]) if shown else "part_name" in text


@pytest.mark.parametrize("status", [401, 403, 404, 409, 500, 302])
def test_no_other_error_repeats_a_cell_either(status: int) -> None:
    for body in (f"no good: {CELL}".encode(), {"message": f"no good: {CELL}"}):
        with pytest.raises(VendorError) as caught:
            upload(reply(body, status))
        assert "canary" not in str(caught.value)


def listed(*jobs: str | tuple[str, str]) -> Response:
    entries = [(job, "revenue") if isinstance(job, str) else job for job in jobs]
    body = [{"jobId": job, "jobType": kind, "status": "pending"} for job, kind in entries]
    return Response(200, {"date": "Wed, 04 Mar 2026 12:00:00 GMT"}, json.dumps(body).encode(), 1.0)


def status(total: int | None = 5, created: str | None = "2026-03-04T12:00:01") -> Response:
    return reply({"status": "processing", "totalRows": total, "createdDateTime": created})


def search(before: Response, after: Response, *statuses: Response) -> list[str]:
    hook = hook_of(RulerHook, extra={"site_id": "s-1"})
    known = finish(hook.jobs_before_operation(place()).flow(), before)
    assert json.loads(json.dumps(known)) == known
    found: list[str] = finish(hook.search_operation(place(), 5, known).flow(), after, *statuses)
    return found


@pytest.mark.parametrize(
    ("after", "statuses", "found"),
    [
        (listed("old"), [], []),
        (listed("old", "new"), [status()], ["s-1/new"]),
        (listed(("new", "Revenue"), ("other", "opportunity")), [status()], ["s-1/new"]),
        (listed("new", "two"), [status(), status()], ["s-1/new", "s-1/two"]),
        (listed("new", "two"), [status(6), status()], ["s-1/two"]),
        (listed("new"), [status(created="2026-03-04T11:50:00")], []),
        (listed("new"), [status(created="2026-03-04T11:59:00")], ["s-1/new"]),
        (listed("new", "later"), [status(), status(created="2026-03-04T13:00:01")], ["s-1/new"]),
        (listed("later"), [status(created="2026-03-04T13:00:01")], []),
        # What cannot be told yet is no proof, and takes away another's.
        (listed("new"), [status(None)], []),
        (listed("new"), [status(0)], []),
        (listed("new"), [status(created=None)], []),
        (listed("new", "two"), [status(0), status()], ["s-1/two", "s-1/new"]),
    ],
)
def test_a_lost_job_is_among_those_that_are_new_and_fit(
    after: Response, statuses: list[Response], found: list[str]
) -> None:
    assert search(listed("old"), after, *statuses) == found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (listed(*map(str, range(5001))), listed()),
        (reply([{"status": "pending"}]), listed()),
        (listed(), reply(["new"])),
        (listed(), reply({"jobs": []})),
        (listed(), listed(*map(str, range(51)))),
    ],
)
def test_a_list_from_which_nothing_can_be_told_proves_nothing(before: Response, after: Response) -> None:
    with pytest.raises(UnexpectedResponse):
        search(before, after)
