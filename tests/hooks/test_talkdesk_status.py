"""A report is done when Talkdesk says so, or has its file: what else redirects or answers is no success."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.body import MAX_BODY_BYTES, SMALL_BYTES, BodyReader
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.job import parse_job_id
from airflow_provider_jobstatus.hooks.talkdesk.storages import is_storage
from tests.support.asking import status_flow
from tests.support.flows import as_read, hook_of, reply

API = "https://api.talkdeskapp.eu"
JOB = "user_status/7e.d1"
FILE = "/data/reports/user_status/files/7e.d1"
STATUS = "/data/reports/user_status/jobs/7e.d1"
S3 = "https://lake.s3.eu-west-1.amazonaws.com/r/7e?X-Amz-Date=1&X-Amz-Signature=canary"
DONE = JobStatus(JOB, "talkdesk", JobState.SUCCEEDED, "done")
JSON, LINES = "application/json", "application/x-ndjson"
REDIRECTS = [300, 301, 302, 303, 307, 308]


def hook(host: str = "") -> TalkdeskHook:
    extra = {"region": "eu"} | ({"token_url": "https://id.example/t"} if host else {})
    made: TalkdeskHook = hook_of(TalkdeskHook, host=host, extra=extra)
    return made


def redirect(location: str | None, body: bytes | object = b"", status: int = 302) -> Response:
    return reply(body, status, **({} if location is None else {"location": location}))


def told(*answers: Response, host: str = "", pieces: int | None = None) -> JobStatus:
    """Return what comes of a status request and, where it is asked for, of the file's."""
    flow = status_flow(hook(host), JOB)
    request = next(flow)
    try:
        for answer in answers:
            request = flow.send(answer if pieces is None else as_read(request, answer, pieces))
    except StopIteration as stop:
        result: JobStatus = stop.value
        return result
    raise AssertionError(f"asks on: {request}")


# Where a redirect leads


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("location", [FILE, API + FILE, API + FILE + "?v=2#top", "../files/7e%2Ed1"])
def test_a_redirect_to_the_jobs_own_file_is_done(status: int, location: str) -> None:
    assert told(redirect(location, status=status)) == DONE


def test_behind_a_gateway_the_file_has_the_gateways_path_or_the_vendors() -> None:
    for location in (f"/td{FILE}", f"https://gw.example/td{FILE}", FILE):
        assert told(redirect(location), host="https://gw.example/td") == DONE
    with pytest.raises(UnexpectedResponse, match=f"led to gw.example/other{FILE}"):
        told(redirect(f"/other{FILE}"), host="https://gw.example/td")


ASTRAY = {
    "a login": "https://acme.okta.example/app/saml?SAMLRequest=x&SigAlg=rsa&Signature=canary",
    "a login of its own signature": "https://forum.example/session/sso?sso=canary&sig=canary",
    "a login with a way back": "https://id.example/authorize?redirect_uri=https%3A%2F%2Fs3%3Fsig%3Dcanary",
    "a login with our path behind it": f"https://id.example{FILE}?next=canary",
    "the connection's own login": "https://acme.talkdeskid.eu/r/7e?sig=canary",
    "another region's login": "https://talkdeskid.com./r/7e?X-Amz-Signature=canary&X-Amz-Credential=k",
    "the API's name with a dot": "https://api.talkdeskapp.eu./r/7e?sig=canary",
    "a login that continues": "https://www.corp.example/a?continue=%2Fdata&Signature=canary",
    "a login that goes on to nothing": "https://www.corp.example/a?next=&Signature=canary",
    "a login that returns": "https://www.corp.example/a?return-url=%2Fdata&sig=canary",
    "a login that goes back": "https://www.corp.example/a?Return_To=%2Fdata&sig=canary",
    "a login of WS-Federation": "https://www.corp.example/a?wa=wsignin1.0&wreply=x&sig=canary",
    "a login that redirects": "https://www.corp.example/a?redirectUrl=x&sig=canary",
    "a login of CAS": "https://www.corp.example/a?service=x&sig=canary",
    "a login of OpenAM": "https://www.corp.example/a?goto=x&sig=canary",
    "an error": "https://www.corp.example/a?error=AccessDenied&sig=canary",
    "a path of a login": "https://www.corp.example/users/sign_in?sig=canary",
    "a page of a login": "https://www.corp.example/Login.aspx?sig=canary",
    "a path that is quoted": "https://www.corp.example/%6cogin?sig=canary",
    "a page for everything": "https://www.corp.example/maintenance.html?sig=canary",
    "a name of a login": "https://sso.corp.example/?sig=canary",
    "maintenance": "/maintenance.html",
    "a captive portal": "http://captive.hotel.lan/?sig=canary",
    "a captive portal that looks signed": "http://captive.hotel.lan/?X-Amz-Signature=canary",
    "another job's file": FILE + "0",
    "another type's file": FILE.replace("user_status", "calls"),
    "the status address": STATUS,
    "the status address with a slash": STATUS + "/",
    "the same over http": f"http://api.talkdeskapp.eu{FILE}",
    "another port": f"{API}:8443{FILE}",
    "another region": f"https://api.talkdeskapp.com{FILE}",
    "a host that is read in two ways": f"https://evil.example\\@api.talkdeskapp.eu{FILE}",
    "a name that begins alike": f"{API}.evil.example{FILE}",
    "the file and more": f"{FILE}/login",
    "the file by dots": f"{API}{FILE}/../7e",
    "two locations": f"{FILE}, /login",
    "an unsigned storage": "https://lake.s3.amazonaws.com/r/7e?X-Amz-Date=1",
    "an empty signature": "https://lake.s3.amazonaws.com/r/7e?X-Amz-Signature=",
    "a signature of the API itself": f"{API}/stored/7e?sig=canary",
    "nothing but a query": "?sig=canary",
    "what is no address": "https://[::1/files",
    "a script": "javascript:alert(1)",
    "the file with an error": f"{FILE}?error=not_stored",
    "the file with an error of a page": f"{FILE}#error_description=gone",
    "the file of another job, by its query": f"{FILE}?jobId=7e.d2",
    "the file that is being made": f"{FILE}?v=2&status=uploading",
    "the file for a user": f"https://canary@api.talkdeskapp.eu{FILE}",
    "a waiting room": "https://shop.queue-it.net/?c=shop&e=td&sig=canary",
    "a waiting room by its path": "https://edge.corp.example/waitingroom/3/7e?sig=canary",
    "a page that says sorry": "https://d7.cloudfront.example/sorry/7e.html?Signature=canary&Key-Pair-Id=K",
    "a maintenance page of a CDN": "https://d7.cdn.example/maintenance?Signature=canary&Key-Pair-Id=K",
    "the front of a CDN": "https://d7.cdn.example/?Signature=canary&Key-Pair-Id=K",
    "a page in a bucket": "https://lake.s3.amazonaws.com/e/busy.htm?X-Amz-Credential=k&X-Amz-Signature=canary",
    "a check of an address": "https://app.corp.example/email/verify/7/c3?expires=1&signature=canary",
    "a challenge": "https://edge.corp.example/cdn-cgi/l/7e?sig=canary",
    "terms of use": "https://wifi.corp.example/terms/v2?Signature=canary",
    "a login with an end": "https://login.corp.example/a1?sig=canary&se=1",
    "what looks like no file": "https://www.corp.example/welcome?sig=canary",
}


@pytest.mark.parametrize("name", ASTRAY)
@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_elsewhere_is_a_failed_poll_that_names_the_place(status: int, name: str) -> None:
    with pytest.raises(
        UnexpectedResponse, match=f"answered {status} and led to .*not the job's file"
    ) as caught:
        told(redirect(ASTRAY[name], b"<html>Please wait</html>", status))
    assert "canary" not in str(caught.value)


def test_the_place_is_named_by_host_and_path_alone() -> None:
    location = "https://user:canary@sso.example:8443/a/login;jsessionid=canary?token=canary#canary"
    with pytest.raises(UnexpectedResponse, match=r"led to sso.example:8443/a/login, which"):
        told(redirect(location))
    with pytest.raises(UnexpectedResponse, match=r"led to sso.example/login, which"):
        told(redirect("https://sso.example/login%3Ftoken=canary"))


STORED = {
    "S3": S3,
    "S3 of old": "https://lake.s3.amazonaws.com/r/7e?AWSAccessKeyId=k&Expires=1&Signature=canary%3D",
    "Google": "https://storage.googleapis.com/lake/7e?X-Goog-Expires=60&X-Goog-Signature=canary",
    "S3 of a bucket of that name": "https://login.s3.amazonaws.com/auth/7e?X-Amz-Credential=k&X-Amz-Signature=s",
    "S3 behind CloudFront": "https://d1.cloudfront.net/sso/7e?Expires=1&Signature=canary&Key-Pair-Id=K",
    "nothing but a signature": "https://lake.example/7e.csv?sig=canary",
    "a sibling of the API": "https://files.talkdeskapp.eu/7e?Signature=canary",
    "a CDN, a page's name on the way": "https://d1.cdn.example/id/7e?Signature=canary&Key-Pair-Id=K",
    "a report on queues": "https://lake.s3.amazonaws.com/queue.csv?X-Amz-Credential=k&X-Amz-Signature=canary",
    "this job's report on queues": "https://d1.cdn.example/queue/7e.d1.csv?Signature=canary&Key-Pair-Id=K",
    "the job's name alone": "https://lake.example/user_status?sig=canary",
    "Azure": "https://lake.blob.core.windows.net/r/7e?sv=2024-11-04&se=2026-12-01&sig=canary",
    "in small letters": "https://lake.example/7e?x-amz-signature=canary",
}


@pytest.mark.parametrize("name", STORED)
def test_a_storages_address_has_the_file_asked_for(name: str) -> None:
    for location in (STORED[name], None, "", " "):
        flow = status_flow(hook(), JOB)
        next(flow)
        request = flow.send(redirect(location and location.strip()))
        assert (request.method, request.url, request.anonymous) == ("GET", API + FILE, False)
        with pytest.raises(StopIteration) as stopped:
            flow.send(redirect(STORED[name], status=303))  # and the storage is not called
        assert stopped.value.value == DONE


def test_the_host_that_a_connection_logs_in_at_is_no_storage() -> None:
    for location in ("https://id.example/7e?sig=canary", "https://ID.example.:443/7e?X-Amz-Signature=s"):
        with pytest.raises(UnexpectedResponse, match="not the job's file"):
            told(redirect(location), host="https://gw.example")
    assert not is_storage(
        "http://127.0.0.1:8002/7e?sig=s",
        parse_job_id(JOB),
        "http://127.0.0.1:8001",
        "http://127.0.0.1:8002/t",
    )


def test_on_ones_own_machine_a_storage_is_another_port() -> None:
    here = "http://127.0.0.1:8001"
    assert is_storage("http://127.0.0.1:8003/r/7e?X-Amz-Signature=s", parse_job_id(JOB), here)
    assert is_storage("http://localhost:8003/r/7e?X-Amz-Signature=s", parse_job_id(JOB), here)
    assert not is_storage("http://127.0.0.1:8001/r/7e?X-Amz-Signature=s", parse_job_id(JOB), here)
    assert not is_storage("http://lake.example/r/7e?X-Amz-Signature=s", parse_job_id(JOB), here)
    assert not is_storage("http://127.0.0.1:8003/r/7e?X-Amz-Signature=s", parse_job_id(JOB), API)


# What its body says


@pytest.mark.parametrize(
    "body",
    [
        {"job": {"id": "7e.d1", "status": "processing"}},
        {"ID": "7e.d1", "status": "CREATED"},
        {"status": "uploading"},
        b'{"job": {"id": "7e.d1", "status": "do',
        b'{"job": {"id": "7e.d1", "status": "done", "status": "done"}}',
        b'{"job": {"id": "7e.d1", "status": "processing"}} {}',
        b'\xef\xbb\xbf{"job": {"id": "7e.d1", "status": "created"}}',
        '{"job": {"id": "7e.d1", "status": "processing"}}'.encode("utf-16"),
        '{"job": {"id": "7e.d1", "status": "processing"}}'.encode("utf-16-le"),
        {"job": {"id": "7e.d2", "status": "done"}},
        {"job": {"status": "done"}, "id": "7e.d2"},
        {"job": {"status": "done"}, "ID": 7},
        {"job": {"id": "7e.d1", "status": "archived"}},
        {"job": {"id": "7e.d1"}},
        {"job": "done"},
        {"error": "login_required"},
        {"code": "unauthorized", "message": "Who are you?"},
        {"job": {"id": "7e.d1", "status": "done"}, "error": "not stored"},
        {"job": {"id": "7e.d1", "status": "done"}, "code": "0540009", "message": "not stored"},
        [{"job": {"id": "7e.d1", "status": "uploading"}}],
        b'"uploading"',
        b"still uploading",
        b"<html><p>Your report is being made</p></html>",
        {"Error": "no such report"},
        {"message": "The report has been removed"},
        {"state": "uploading"},
        {"job": {"id": "7e.d1", "status": "done", "error_message": "disk full"}},
        {"job": {"id": "7e.d1", "status": "done"}, "success": False},
        {"job": {"jobId": "7e.d2", "status": "done"}},
        {"job": {"status": "done"}, "job_id": "another"},
        {"job": {"id": "7e.d1", "status": "done", "state": "created"}},
        f"<j><state>uploading</state><href>{FILE}</href></j>".encode(),
        f"state: uploading\nlocation: {FILE}\n".encode(),
        f"status=failed&location={FILE}".encode(),
        f")]}}',\n{{'status': 'created', 'moved': '{FILE}'}} processing".encode(),
        b"<html>503 Service Unavailable. You will be redirected</html>",
        b"The job was moved back into the queue",
        {"data": {"id": "7e.d1", "status": "failed"}},
        {"jobs": [{"id": "7e.d1", "status": "uploading"}]},
        {"meta": {"report": {"state": "failed"}}},
        {"ready": False},
        {"progress": 40, "done": False},
        {"result": "failed"},
        {"job": {"id": "7e.d1", "status": "done"}, "_embedded": {"task": {"state": "uploading"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [300, 303, 307])
def test_a_body_that_contradicts_the_redirect_is_a_failed_poll(body: Any, status: int) -> None:
    with pytest.raises(UnexpectedResponse, match=f"led to api.talkdeskapp.eu{FILE}"):
        told(redirect(FILE, body, status))


@pytest.mark.parametrize(
    "body",
    [
        {"job": {"status": "done"}},
        {"job": {"id": "7e.d1", "status": "DONE"}},
        {"ID": "7e.d1", "status": "done"},
    ],
)
@pytest.mark.parametrize("location", [None, FILE, S3, "https://elsewhere.example/"])
def test_a_body_that_says_done_of_this_job_is_enough(body: Any, location: str | None) -> None:
    assert told(redirect(location, body)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>303 See Other</title></head></html>",
        b"Found. Redirecting to the file",
        f"Moved to {API}{FILE.replace('7e.d1', '7e%2Ed1')}".encode(),
        f'<a href="{FILE}">the report</a>'.encode(),
        b"null",
        {},
        [],
        {"message": "Moved Temporarily"},
        {"url": FILE},
    ],
    ids=str,
)
def test_a_body_that_says_no_more_than_that_it_is_a_redirect_contradicts_none(body: Any) -> None:
    assert told(redirect(FILE, body)) == DONE


@pytest.mark.parametrize("body", [{"status": "done"}, {"status": "error"}, {"status": "failed"}])
def test_a_word_that_names_no_job_may_be_a_gateways(body: Any) -> None:
    with pytest.raises(UnexpectedResponse, match=r"led to id.example/login"):
        told(redirect("https://id.example/login", body))
    with pytest.raises(UnexpectedResponse, match=r"led to id.example/login"):
        told(redirect(None, body), redirect("https://id.example/login", body))


# The report at the status address


REPORTS: dict[str, Response] = {
    "CSV": reply(b"id,agent\n1,Ana\n", content_type="text/csv; charset=utf-8"),
    "CSV in quotes": reply(b'"id","agent"\n"1","Ana"\n', content_type="text/csv"),
    "CSV with a mark": reply(b"\xef\xbb\xbfid,agent\n", content_type="text/csv"),
    "CSV in UTF-16": reply("id,agent\n".encode("utf-16"), content_type="text/csv"),
    "compressed CSV": reply(gzip.compress(b"id,agent\n" * 99), content_type="text/csv"),
    "a file": reply(b"id,agent\n", content_type="binary/octet-stream"),
    "an attachment": reply(b"id,agent\n", content_type="text/plain", content_disposition="attachment"),
    "lines": reply(b'{"id": "1", "status": "failed", "to": "x"}\n{"id": "2"}\n', content_type=LINES),
    "lines in UTF-16": reply('{"id": "1"}\n{"id": "2"}\n'.encode("utf-16"), content_type=LINES),
    "long CSV": reply(b"id,agent\n" + b"1,Ana\n" * 11_000, content_type="text/csv"),
    "a long array": reply([{"id": "1", "status": "failed", "to": "x"}] * 1600, content_type=JSON),
    "one line": reply(b'{"id": "1", "status": "failed", "to": "x"}\n', content_type=LINES),
    "lines without a type": reply(b'{"id": "1", "status": "failed", "to": 1}\n{"a": 2}', content_type=JSON),
    "a row of messages": reply(b'{"code": 1, "message": "hi", "to": "x"}\n', content_type=LINES),
    "an array": reply([{"id": "1", "status": "failed", "to": "x"}], content_type=JSON),
    "an array of states": reply([{"id": "1", "status": "answered"}], content_type=JSON),
    "an empty array": reply([]),
    "entries": reply({"total": 1, "entries": [{"id": "1", "status": "failed"}]}, content_type=JSON),
    "no entries": reply({"entries": [], "total": 0, "error": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("pieces", [None, 1, 40])
def test_a_report_in_place_of_a_status_is_confirmed_by_its_file(name: str, pieces: int | None) -> None:
    for file in (redirect(S3, status=303), REPORTS[name], reply({"job": {"ID": "7e.d1", "status": "done"}})):
        assert told(REPORTS[name], file, pieces=pieces) == DONE


LONG = b" " * 70_000
LONG_ARRAYS: dict[str, bytes] = {
    "jobs": json.dumps([{"id": "7e.d1", "status": "created"}] * 3000).encode(),
    "errors": json.dumps([{"code": "0540009", "message": "x" * 50}] * 3000).encode(),
    "numbers": json.dumps([*range(30_000)]).encode(),
    "nulls": json.dumps([None] * 30_000).encode(),
    "a number and space": b"[7" + LONG + b"]",
    "space and a number": b"[" + LONG + b"7]",
    "space and an error": LONG + b"[" + LONG + b'{"error": "x"}]',
    "a long text": b'["' + b"x" * 70_000 + b'"]',
    "a row, then errors": json.dumps([{"id": "1", "to": "x"}, *[{"error": "down"}] * 9000]).encode(),
}


@pytest.mark.parametrize("name", LONG_ARRAYS)
@pytest.mark.parametrize("pieces", [None, 1000, 100_000])
def test_the_first_items_of_an_array_are_judged_however_long_it_is(name: str, pieces: int | None) -> None:
    long = reply(LONG_ARRAYS[name], content_type=JSON)
    for answers in ([long], [REPORTS["CSV"], long], [long, long]):
        with pytest.raises(UnexpectedResponse):
            told(*answers, pieces=pieces)


def test_an_array_of_one_very_long_row_may_be_a_report_but_confirms_none() -> None:
    row = reply([{"id": "1", "to": "x" * 70_000}], content_type=JSON)
    for pieces in (None, 4000):
        assert told(row, redirect(S3), pieces=pieces) == DONE
        with pytest.raises(UnexpectedResponse):
            told(REPORTS["CSV"], row, pieces=pieces)


NO_FILES: dict[str, Response] = {
    "an error in columns": reply(b"code,message\r\n17,not stored\r\n", content_type="text/csv"),
    "an error in columns of text": reply(b"error;description\nno;not stored\n", content_type="text/csv"),
    "the job in columns": reply(b"id,status\n7e.d1,uploading\n", content_type="text/csv"),
    "a traceback": reply(
        b'Traceback (most recent call last):\n  File "a.py", line 3, in f\nKeyError: 7\n',
        content_type="text/csv",
    ),
    "a stack": reply(b"java.io.IOException: no space\n\tat a.B.c(B.java:7)\n", content_type="text/csv"),
    "an error of two lines": reply(b"Error: no file\nTry again, later\n", content_type="binary/octet-stream"),
    "a compressed line": reply(gzip.compress(b"Please sign in"), content_type="application/gzip"),
    "a compressed error": reply(gzip.compress(b"code,message\n1,no\n"), content_type="application/gzip"),
    "a compressed nothing": reply(gzip.compress(b""), content_type="application/octet-stream"),
    "a compressed space": reply(gzip.compress(b" \n"), content_type="text/csv"),
    "much compressed space": reply(gzip.compress(b" " * 10**6), content_type="application/gzip"),
    "no gzip": reply(b"\x1f\x8b\x08" + bytes(40), content_type="application/gzip"),
    "an empty zip": reply(b"PK\5\6" + bytes(18), content_type="application/zip"),
    "an array of nothing": reply([None, None], content_type=JSON),
    "an array of empty objects": reply([{}, {}], content_type=JSON),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_FILES)
@pytest.mark.parametrize("pieces", [None, 1, 40])
def test_an_error_or_nothing_in_a_files_clothes_confirms_no_report(name: str, pieces: int | None) -> None:
    for first in (REPORTS["CSV"], redirect(S3), NO_FILES[name]):
        with pytest.raises(UnexpectedResponse):
            told(first, NO_FILES[name], pieces=pieces)


NO_REPORTS: dict[str, Response] = {
    "a page": reply(b"<!doctype html><p>Welcome", content_type="text/html"),
    "a page that calls itself CSV": reply(b"\n <html><p>Welcome", content_type="text/csv"),
    "an error that calls itself CSV": reply({"code": "x", "message": "no"}, content_type="text/csv"),
    "an error that calls itself a line": reply({"error": "no"}, content_type=LINES),
    "an error that calls itself a file": reply({"error": "no"}, content_type="application/octet-stream"),
    "an error of a storage": reply(b"<?xml version='1.0'?><Error/>", content_type="application/octet-stream"),
    "an error beside entries": reply({"entries": [], "total": 0, "error": "no report 7e.d1"}),
    "errors beside entries": reply({"entries": [], "errors": [{"code": 1}]}),
    "a message beside entries": reply({"entries": [], "code": "not_found", "message": "no"}),
    "a word that calls itself a file": reply(b"OK\n", content_type="application/octet-stream"),
    "a word that calls itself CSV": reply(b"Unavailable", content_type="text/csv"),
    "a sentence that is attached": reply(b"Down for now.", content_disposition="attachment"),
    "two sentences": reply(b"We are down for now.\nPlease come again later.\n", content_type="text/csv"),
    "a value that calls itself lines": reply(b"null", content_type=LINES),
    "an array of an error": reply([{"error": "down"}], content_type=JSON),
    "an array of Talkdesk's error": reply([{"code": "0540009", "message": "down"}], content_type=JSON),
    "an array of another error": reply([{"Status": 503, "title": "Down", "detail": "x"}], content_type=JSON),
    "an array of words": reply(["error", "down"], content_type=JSON),
    "an array of the job": reply([{"id": "7e.d1", "status": "created"}], content_type=JSON),
    "an array of a wrapped job": reply([{"job": {"status": "done"}}], content_type=JSON),
    "the job twice": reply(b'{"ID": "7e.d1", "status": "done"}\n' * 2, content_type=JSON),
    "lines of errors": reply(b'{"Message": "Forbidden"}\n{"a": 1}\n', content_type=LINES),
    "a page in UTF-16": reply("<html>Sign in".encode("utf-16"), content_type="text/csv"),
    "an error in UTF-16": reply('{"error": "x"}'.encode("utf-16"), content_type="text/csv"),
    "the job in UTF-32": reply('{"id": "7e.d1", "status": "done"}'.encode("utf-32"), content_type=LINES),
    "paper": reply(b"%PDF-1.7 a,b\nc,d\n", content_type="application/octet-stream"),
    "a picture": reply(b"\x89PNG\r\n\x1a\n,\n", content_type="text/csv"),
    "a zero and a page": reply(b"\0<html>", content_type="application/zip"),
    "entries that are none": reply({"entries": 0}),
    "text": reply(b"Service unavailable, come again", content_type="text/plain"),
    "text without a type": reply(b"OK"),
    "nothing": reply(b""),
    "an empty file": reply(b"", content_type="application/octet-stream"),
    "half an array": reply(b'[{"id": "1"}', content_type=JSON),
    "an array and more": reply(b'[] {"error": 1}', content_type=JSON),
    "two jobs": reply(b'{"job": {"status": "created"}}\n{"job": {"status": "done"}}', content_type=JSON),
    "a success beside an error": reply({"job": {"id": "7e.d1", "status": "done"}, "error": "not stored"}),
    "a success with an error": reply({"job": {"id": "7e.d1", "status": "done", "errors": ["x"]}}),
    "a success with an error's code": reply({"job": {"status": "done", "code": "1", "message": "no"}}),
    "a success beside an error's code": reply({"job": {"status": "done"}, "code": 1, "description": "no"}),
    "an error that says done": reply({"id": "7e.d1", "status": "done", "code": "0540009", "message": "x"}),
    "a success beside another word": reply({"job": {"status": "done"}, "status": "failed"}),
    "a success with an error's text": reply({"job": {"id": "7e.d1", "status": "done", "errorMessage": "x"}}),
    "a success of another job": reply({"job": {"jobId": "7e.d2", "status": "done"}}),
    "a success beside another's id": reply({"job": {"status": "done"}, "job_id": "7e.d2"}),
    "no success beside entries": reply({"entries": [], "success": False}),
    "a state beside entries": reply({"entries": [], "state": "uploading"}),
    "an array of other jobs": reply([{"id": "8", "status": "created"}, {"id": "9", "status": "failed"}]),
    "an array of the job by another name": reply([{"jobId": "7e.d1", "Status": "any", "agent": "x"}]),
    "an array of the job within": reply([{"report": {"id": "7e.d1", "status": "created"}}]),
    "lines of a log": reply(b'{"level": "warn", "msg": "x"}\n' * 2, content_type=LINES),
    "another kind of success": reply({"entries": []}, 202),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_REPORTS)
@pytest.mark.parametrize("pieces", [None, 1, 40])
def test_what_is_no_report_is_no_success_at_either_address(name: str, pieces: int | None) -> None:
    with pytest.raises((UnexpectedResponse, ValueError)):
        told(NO_REPORTS[name], pieces=pieces)
    with pytest.raises((UnexpectedResponse, ValueError)):
        told(REPORTS["CSV"], NO_REPORTS[name], pieces=pieces)


def test_a_line_of_the_job_itself_is_its_status_and_no_row() -> None:
    line = reply(b'{"id": "7e.d1", "status": "failed"}\n', content_type=LINES)
    assert told(line).state is JobState.FAILED
    with pytest.raises(UnexpectedResponse, match="answered 'failed' in place of the job's file"):
        told(REPORTS["CSV"], line)


@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_an_empty_reply_is_confirmed_by_a_file_and_confirms_none(body: bytes) -> None:
    empty = reply(body, content_type="text/csv")
    assert told(empty, redirect(S3)) == DONE
    for first in (empty, redirect(S3), REPORTS["entries"]):
        with pytest.raises(UnexpectedResponse):
            told(first, empty)


@pytest.mark.parametrize("name", ASTRAY)
def test_a_files_address_that_leads_elsewhere_confirms_nothing(name: str) -> None:
    for location in (ASTRAY[name], FILE, None):
        with pytest.raises(UnexpectedResponse, match=r"files/7e.d1: answered 302 and led to .*no storage"):
            told(REPORTS["CSV"], redirect(location))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, UnexpectedResponse),
        (400, UnexpectedResponse),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, UnexpectedResponse),
        (410, UnexpectedResponse),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_a_file_that_is_not_to_be_had_is_a_failed_poll_and_no_unknown_job(
    status: int, error: type[VendorError]
) -> None:
    for first in (redirect(S3), REPORTS["entries"]):
        with pytest.raises(error) as caught:
            told(first, reply(b"", status, retry_after="77"))
        assert type(caught.value) is error
        assert caught.value.retry_after == (None if status == 204 else 77.0)
        assert (caught.value.path, str(status) in str(caught.value) or status == 204) == (FILE, True)


def test_an_unknown_job_is_told_by_the_status_address_alone() -> None:
    with pytest.raises(NotFound):
        told(reply({"code": "not_found"}, 404))


@pytest.mark.parametrize("word", ["processing", "failed", "deleted"])
def test_a_job_in_place_of_its_file_confirms_nothing_unless_it_is_done(word: str) -> None:
    file = reply({"job": {"id": "7e.d1", "status": word}})
    with pytest.raises(UnexpectedResponse, match=f"answered '{word}' in place of the job's file"):
        told(REPORTS["CSV"], file)


def test_another_jobs_file_confirms_nothing() -> None:
    with pytest.raises(UnexpectedResponse, match=r"answered for the job '7e.d2'"):
        told(REPORTS["CSV"], redirect(S3, {"ID": "7e.d2", "status": "done"}))


def test_no_more_than_the_head_of_a_file_is_read() -> None:
    rows = b",".join([b'{"note": "' + b"x" * 1000 + b'"}'] * 2000)
    for file in (reply(b"id,agent\n" + rows, content_type="text/csv"), reply(b'{"entries": [' + rows)):
        flow = status_flow(hook(), JOB)
        next(flow)
        reader = BodyReader("", flow.send(redirect(S3)).outline_for(200))
        sizes = []
        for begin in range(0, len(file.body), 4096):
            sizes.append(4096)
            if any(list(reader.feed(file.body[begin : begin + 4096]))):
                break
        assert sum(sizes) <= SMALL_BYTES + 4096
        with pytest.raises(StopIteration) as stopped:
            flow.send(Response(200, file.headers, reader.finish()))
        assert stopped.value.value == DONE


def test_text_at_the_status_address_is_read_no_further_than_to_see_that() -> None:
    reader = BodyReader("", next(status_flow(hook(), JOB)).outline_for(200))
    assert not any(list(reader.feed(b"id,agent\n" * 100)))
    assert any(list(reader.feed(b"1,2\n" * SMALL_BYTES)))


# Whose status it is


@pytest.mark.parametrize(
    "body",
    [
        {"job": {"id": "7e.d2", "status": "done"}},
        {"job": {"ID": "7e.d2", "status": "done"}},
        {"job": {"status": "done"}, "id": "7e.d2"},
        {"id": "7e.d2", "job": {"id": "7e.d1", "status": "done"}},
        {"ID": "7e.d2", "job": {"status": "processing"}},
        {"ID": "7e.d2", "status": "done"},
        {"id": "7e.d1", "ID": "7e.d2", "status": "failed"},
    ],
    ids=str,
)
@pytest.mark.parametrize("pieces", [None, 1, 40])
def test_an_id_counts_wherever_it_stands(body: Any, pieces: int | None) -> None:
    with pytest.raises(UnexpectedResponse, match=r"answered for the job '7e.d2'"):
        told(reply(body), pieces=pieces)


def test_one_word_is_read_however_the_reply_comes() -> None:
    rows = b'"entries": [' + b'{"status": "done"}, ' * 5000 + b"{}]"
    for text in (
        b'{"job": {"id": "7e.d1", "status": "processing"}, ' + rows + b"}",
        b"{" + rows + b', "job": {"id": "7e.d1", "status": "processing"}}',
        b"{" + rows + b', "status": "processing", "id": "7e.d1"}',
    ):
        assert len(text) < MAX_BODY_BYTES
        for pieces in (None, 7, 32 * 1024):
            assert told(reply(text), pieces=pieces).state is JobState.RUNNING


@pytest.mark.parametrize("job", [{"job": {"status": "done"}}, {"status": "done"}])
def test_a_job_that_is_too_long_to_be_read_to_its_end_must_have_its_id_before(job: Any) -> None:
    filler = b'"' + b"x" * 1000 + b'", '
    rest = b', "rows": [' + filler * (AGREED_BYTES // len(filler) + 100) + b'""]}'
    for named in (job | {"id": "7e.d1"}, job | {"ID": "7e.d1"}):
        assert told(reply(json.dumps(named).encode()[:-1] + rest), pieces=64 * 1024) == DONE
    with pytest.raises(UnexpectedResponse, match="no usable JSON"):
        told(reply(json.dumps(job).encode()[:-1] + rest), pieces=64 * 1024)
