"""What is Talkdesk's own as values: redirects, reports, files and lists. Logins: test_talkdesk_auth.py."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from airflow_provider_jobstatus.core.body import BodyReader
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.listing import MAX_PAGES, PAGE_SIZE
from airflow_provider_jobstatus.hooks.talkdesk.login import login_flow
from airflow_provider_jobstatus.hooks.talkdesk.results import MAX_ADDRESSES
from tests.support.asking import file_flow, list_place, status_flow, with_credentials
from tests.support.flows import finish, hook_of, reply
from tests.support.flows import sample as any_sample
from tests.support.flows import status_of as any_status

API = "https://api.talkdeskapp.com"
JOB = "calls/0f9c"
STATUS = f"{API}/data/reports/calls/jobs/0f9c"
DONE = JobStatus(JOB, "talkdesk", JobState.SUCCEEDED, "done")
FILE = "/data/reports/calls/files/0f9c"
SIGNED = "https://reports.s3.amazonaws.com/calls/0f9c?X-Amz-Signature=canary-signature"
REDIRECTS = [300, 301, 302, 303, 307, 308]


def sample(name: str) -> bytes:
    return any_sample(f"talkdesk/{name}")


def talkdesk() -> TalkdeskHook:
    hook: TalkdeskHook = hook_of(TalkdeskHook)
    return hook


def status_of(
    body: bytes | object, status: int = 200, file: Response | None = None, **headers: str
) -> JobStatus:
    """
    Return the status that a reply means, read as a transport reads it.

    :param file: what the files address answers; without one, the flow must not ask it.
    """
    return any_status(talkdesk(), JOB, reply(body, status, **headers), *([file] if file else []), read=True)


def test_the_older_flat_job_is_read_like_the_nested_one() -> None:
    assert status_of(sample("status-flat.json")).state is JobState.SUCCEEDED
    assert status_of({"id": "0f9c", "status": "PROCESSING"}).state is JobState.RUNNING
    assert status_of(sample("status-flat.json"), 303, location=FILE).state is JobState.SUCCEEDED


def test_the_smallest_replies_are_enough() -> None:
    running = JobStatus(JOB, "talkdesk", JobState.RUNNING, "processing")
    assert status_of({"job": {"status": "processing"}}) == running
    assert status_of({"status": "processing"}) == running
    assert status_of(b"", 300, location=FILE) == DONE


BODIES = {
    "without": b"",
    "nested": sample("status-done.json"),
    "flat": sample("status-flat.json"),
    "html": b"<html>See other</html>",
    "list": b"[1]",
    "other": b'{"message": "see Location"}',
}
LOCATIONS = {
    "relative": FILE,
    "absolute": API + FILE,
    "elsewhere": "https://api.talkdeskdev.com" + FILE,
    "missing": None,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("status", REDIRECTS)
def test_300_vs_303_every_redirect_to_the_file_is_done(status: int, location: str, body: str) -> None:
    target = LOCATIONS[location]
    headers = {} if target is None else {"location": target}
    if body in ("nested", "flat") or location in ("relative", "absolute"):
        assert status_of(BODIES[body], status, **headers) == DONE
    elif location == "missing":
        stored = reply(b"", 303, location=SIGNED)
        assert status_of(BODIES[body], status, file=stored, **headers) == DONE
    else:
        with pytest.raises(UnexpectedResponse, match=f"answered {status} and led to api.talkdeskdev.com"):
            status_of(BODIES[body], status, **headers)


@pytest.mark.parametrize("location", ["http://[::1/files/j", "//", "http://[", "?/files/", "https://a:b:c/"])
def test_a_redirect_to_what_is_no_address_is_no_crash_and_no_result(location: str) -> None:
    for status in REDIRECTS:
        with pytest.raises(UnexpectedResponse, match=f"answered {status} and led to .*not the job's file"):
            status_of(b"", status, location=location)


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_is_not_followed_and_one_without_a_place_has_the_file_asked_for(status: int) -> None:
    # status_of() fails if the flow asks for anything more than the file's place.
    stored = reply(b"", 303, location=SIGNED)
    assert status_of(b"", status, file=stored, location=SIGNED) == DONE
    flow = status_flow(talkdesk(), JOB)
    next(flow)
    request = flow.send(reply(b"", status))
    assert (request.method, request.url, request.body) == ("GET", API + FILE, None)
    for word, state in TalkdeskHook.statuses.items():
        if state not in (JobState.RUNNING, JobState.SUCCEEDED):
            for body in ({"job": {"status": word.upper()}}, {"status": word}):
                assert status_of(body, status, location=FILE).state is state


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            {"job": {"status": "archived"}},
            "unknown status 'archived'; .*extra 'statuses' of connection 'mine'",
        ),
        ({"job": {"status": ""}}, "unknown status ''"),
        ({"job": {"id": "other", "status": "done"}}, "answered for the job"),
        ({"id": 7, "status": "done"}, "answered for the job"),
        ({"job": None}, "no JSON object"),
        ({"job": []}, "no JSON object"),
        ({"job": "done"}, "no JSON object"),
    ],
)
@pytest.mark.parametrize("status", [200, 300, 303])
def test_no_form_of_reply_makes_an_end_of_what_is_none(status: int, body: object, problem: str) -> None:
    with pytest.raises(UnexpectedResponse, match=problem):
        status_of(body, status, location=FILE)


@pytest.mark.parametrize("text", [b'{"total": 0, "entries": 0}', b'{"total": 3}', b"7", b"{}", b""])
def test_what_is_neither_job_nor_report_is_no_status(text: bytes) -> None:
    with pytest.raises(UnexpectedResponse):
        status_of(text)


@pytest.mark.parametrize("total_first", [True, False])
def test_a_report_of_any_size_in_place_of_a_status_is_not_held(total_first: bool) -> None:
    row = b'{"id": "1", "status": "failed", "job": {"status": "failed"}, "note": "' + b"x" * 1000 + b'"}'
    chunk = b",".join([row] * 64)
    request = next(status_flow(talkdesk(), JOB))
    reader = BodyReader("", request.outline_for(200))
    tracemalloc.start()
    any(reader.feed(b'{"total": 99, "entries": [' if total_first else b'{"entries": ['))
    size = 0
    while not any(reader.feed(chunk + b",")):
        size += len(chunk)
    body = reader.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert finish(status_flow(talkdesk(), JOB), reply(body), reply(b"", 303, location=SIGNED)) == DONE
    assert AGREED_BYTES - len(chunk) < size < AGREED_BYTES + len(chunk)  # the rest is not even awaited
    assert peak < 1024 * 1024


def test_rows_beside_a_status_do_not_change_what_it_says() -> None:
    assert status_of({"status": "processing", "entries": []}).state is JobState.RUNNING
    assert status_of({"job": {"status": "failed"}, "entries": []}).state is JobState.FAILED


# The traps of the reference, by their names


@pytest.mark.parametrize("status", [401, 403])
def test_trap_5_an_expired_token_is_renewed_once_on_401_and_403(status: int) -> None:
    hook = talkdesk()
    flow = with_credentials(hook, status_flow(hook, JOB))
    next(flow)
    assert flow.send("first").headers["Authorization"] == "Bearer first"
    exchange = flow.send(reply(sample("error.json"), status))
    assert not isinstance(exchange, Request)
    assert flow.send("second").headers["Authorization"] == "Bearer second"
    with pytest.raises(AccessDenied):
        flow.send(reply(sample("error.json"), status))


def test_trap_6_never_build_the_file_url_from_links() -> None:
    body = sample("status-done.json")
    assert b"http://api-docs.talkdesk.org" in body
    for status, headers in ((200, {}), (300, {}), (303, {"location": FILE})):
        assert status_of(body, status, **headers).state is JobState.SUCCEEDED
    flow = file_flow(talkdesk(), JOB)
    assert next(flow).url == API + FILE
    with pytest.raises(UnexpectedResponse, match="redirects without saying where"):
        flow.send(reply(body, 303))


def test_trap_7_canceled_has_one_l() -> None:
    assert status_of({"status": "canceled"}).state is JobState.CANCELLED
    with pytest.raises(UnexpectedResponse, match="unknown status 'cancelled'"):
        status_of({"status": "cancelled"})


def test_trap_9_204_is_still_running_and_its_body_is_not_read() -> None:
    for body in (b"", b"no json"):
        assert finish(status_flow(talkdesk(), JOB), reply(body, 204)).state is JobState.RUNNING


def test_trap_10_s3_errors_are_xml_with_403_so_the_address_is_asked_for_again() -> None:
    flow = file_flow(talkdesk(), JOB)
    first = next(flow)
    flow.send(reply(b"", 303, location=SIGNED))
    again = flow.send(reply(sample("storage-expired.xml"), 403, content_type="application/xml"))
    assert (again.url, again.anonymous) == (first.url, False)
    fresh = SIGNED + "-2"
    assert flow.send(reply(b"", 303, location=fresh)).url == fresh
    with pytest.raises(StopIteration) as stopped:
        flow.send(reply(b"", 200, content_type="text/csv"))
    assert stopped.value.value.status == 200


def test_trap_19_token_errors_and_api_errors_have_different_shapes() -> None:
    hook = talkdesk()
    with pytest.raises(AccessDenied, match="Client authentication failed"):
        finish(login_flow(hook, "https://a.example/t", "c", "s"), reply(sample("token-error-401.json"), 401))
    with pytest.raises(AccessDenied, match="The scope is not granted"):
        status_of(sample("error.json"), 403)
    # Each in the place of the other still says what it says.
    with pytest.raises(AccessDenied, match="The scope is not granted"):
        finish(login_flow(hook, "https://a.example/t", "c", "s"), reply(sample("error.json"), 403))
    with pytest.raises(AccessDenied, match="Client authentication failed"):
        status_of(sample("token-error-401.json"), 401)


# The file


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(
    ("location", "called"), [(SIGNED, SIGNED), ("/stored/0f9c?sig=1", f"{API}/stored/0f9c?sig=1")]
)
def test_trap_1_a_storage_gets_no_credentials_and_may_not_redirect_again(
    location: str, called: str, status: int
) -> None:
    hook = talkdesk()
    flow = with_credentials(hook, file_flow(hook, JOB))
    next(flow)  # the login
    request = flow.send("canary-token")
    assert (request.method, request.url) == ("GET", API + FILE)
    assert request.headers["Authorization"] == "Bearer canary-token"
    stored = flow.send(reply(sample("status-done.json"), status, location=location))
    assert (stored.url, stored.method, dict(stored.headers)) == (called, "GET", {"Accept": "*/*"})
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        flow.send(reply(b"", status, location=SIGNED + "-2"))


def test_a_file_may_come_at_once_and_an_empty_one_is_believed_of_the_storage_alone() -> None:
    assert finish(file_flow(talkdesk(), JOB), reply(b"", content_type="text/csv")).status == 200
    empty = reply(b"", content_type="text/csv", content_length="0")
    with pytest.raises(UnexpectedResponse, match="answered with an empty file"):
        finish(file_flow(talkdesk(), JOB), empty)
    assert finish(file_flow(talkdesk(), JOB), reply(b"", 303, location=SIGNED), empty) is empty


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, UnexpectedResponse) for status in (400, 401, 403)),
        (404, NotFound),
        (410, NotFound),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_a_storage_that_repeats_the_address_in_its_error_does_not_get_it_shown(
    status: int, kind: type[VendorError]
) -> None:
    body = f"<Error><Resource>{SIGNED}</Resource><Signature>canary-signature</Signature></Error>".encode()
    refusals = [reply(b"", 303, location=SIGNED), reply(body, status)] * MAX_ADDRESSES
    with pytest.raises(kind) as caught:
        finish(file_flow(talkdesk(), JOB), *refusals)
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.args)):
        assert "canary" not in shown
    given_up = f"gave 2 signed addresses, and the storage refused each, the last with {status}"
    assert (given_up in str(caught.value)) == (kind is UnexpectedResponse)


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206])
@pytest.mark.parametrize("direct", [True, False])
def test_only_200_is_a_report(direct: bool, status: int) -> None:
    answers = [] if direct else [reply(b"", 303, location=SIGNED)]
    late = reply(b"", status, content_type="text/csv", retry_after="17", content_range="bytes 0-7/90")
    with pytest.raises(VendorError, match=f"{status}"):
        finish(file_flow(talkdesk(), JOB), *answers, late)


# The list


def page(*jobs: object) -> Response:
    return reply({"_embedded": {"jobs": list(jobs)}})


def full_page(number: int) -> Response:
    return page(*({"id": f"{number}-{entry}", "status": "processing"} for entry in range(PAGE_SIZE)))


def test_a_job_stands_in_the_list_of_its_report_type() -> None:
    assert list_place(talkdesk(), JOB) == ("calls", "0f9c")


def test_the_list_tells_the_word_of_each_job() -> None:
    listing = finish(talkdesk().list_flow("calls"), reply(sample("jobs.json")))
    assert listing == Listing({"0f9c": Listed("processing"), "1a2b": Listed("DONE")})
    assert talkdesk().listed_status("calls/1a2b", listing.jobs["1a2b"]).state is JobState.SUCCEEDED


def test_the_list_is_read_page_by_page_until_one_is_not_full() -> None:
    flow = talkdesk().list_flow("calls")
    urls = [next(flow).url]
    urls += [flow.send(full_page(number)).url for number in (1, 2)]
    assert urls == [f"{API}/data/reports/calls/jobs?page={number}&per_page=200" for number in (1, 2, 3)]
    with pytest.raises(StopIteration) as stop:
        flow.send(page({"id": "last", "status": "created"}))
    assert (len(stop.value.value.jobs), stop.value.value.requests) == (2 * PAGE_SIZE + 1, 3)


def test_a_list_without_end_is_given_up() -> None:
    with pytest.raises(UnexpectedResponse, match="more than 10 pages"):
        finish(talkdesk().list_flow("calls"), *map(full_page, range(MAX_PAGES)))


def test_jobs_of_a_page_that_comes_again_are_left_out() -> None:
    listing = finish(talkdesk().list_flow("calls"), full_page(1), full_page(1), page())
    assert listing == Listing({}, 3)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", {}, {"_embedded": []}, {"_embedded": {}}, {"_embedded": {"jobs": {}}}, {"executions": []}],
    ids=str,
)
def test_what_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        finish(talkdesk().list_flow("calls"), reply(body))


def test_entries_that_are_none_are_left_out() -> None:
    answer = page(None, 7, [], {"id": "a"}, {"id": 7, "status": "done"}, {"id": "b", "status": "created"})
    assert finish(talkdesk().list_flow("calls"), answer).jobs == {"b": Listed("created")}
