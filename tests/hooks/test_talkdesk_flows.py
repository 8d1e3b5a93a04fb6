"""Conversations with Talkdesk as values: no server, no transport. Logins are in test_talkdesk_auth.py."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_jobstatus.core.body import BodyReader
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
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.listing import MAX_PAGES, PAGE_SIZE
from airflow_provider_jobstatus.hooks.talkdesk.login import login_flow
from airflow_provider_jobstatus.hooks.talkdesk.results import MAX_ADDRESSES
from tests.support.asking import file_flow, list_place, status_flow, with_credentials

SAMPLES = Path(__file__).parent.parent / "samples" / "talkdesk"
API = "https://api.talkdeskapp.com"
JOB = "calls/0f9c"
STATUS = f"{API}/data/reports/calls/jobs/0f9c"
DONE = JobStatus(JOB, "talkdesk", JobState.SUCCEEDED, "done")
FILE = "/data/reports/calls/files/0f9c"
SIGNED = "https://reports.s3.amazonaws.com/calls/0f9c?X-Amz-Signature=canary-signature"
WORDS = ["created", "processing", "uploading", "done", "failed", "canceled", "deleted"]
REDIRECTS = [300, 301, 302, 303, 307, 308]


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def talkdesk(**fields: Any) -> TalkdeskHook:
    extra = {"account": "acme"} | fields.pop("extra", {})
    fields = {"conn_id": "my_td", "login": "client-1", "password": "secret-1", **fields}
    return TalkdeskHook.from_connection(Connection(conn_type="talkdesk", extra=json.dumps(extra), **fields))


def reply(body: bytes | object = b"", status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def finish(flow: Flow[Any], *answers: Response) -> Any:
    """Send answers to a flow, one by one, and return its result."""
    next(flow)
    try:
        for answer in answers:
            flow.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the flow asks on")


def status_of(
    body: bytes | object,
    status: int = 200,
    extra: Any = None,
    *,
    file: Response | None = None,
    **headers: str,
) -> JobStatus:
    """
    Return the status that a reply means, read as a transport reads it.

    :param file: what the files address answers; without one, the flow must not ask it.
    """
    flow = status_flow(talkdesk(extra=extra or {}), JOB)
    request = next(flow)
    answer = reply(body, status, **headers)
    reader = BodyReader("", request.outline_for(status))
    any(reader.feed(answer.body))
    answers = [Response(status, answer.headers, reader.finish()), *([file] if file else [])]
    # It fails if the flow asks on: follows a redirect, or polls by itself.
    result: JobStatus = finish(status_flow(talkdesk(extra=extra or {}), JOB), *answers)
    return result


# Status


def test_a_status_is_one_get_below_type_and_job() -> None:
    request = next(status_flow(talkdesk(), JOB))
    assert (request.method, request.url, request.body) == ("GET", STATUS, None)
    assert not request.anonymous


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("created", JobState.RUNNING),
        ("processing", JobState.RUNNING),
        ("uploading", JobState.RUNNING),
        ("done", JobState.SUCCEEDED),
        ("failed", JobState.FAILED),
        ("canceled", JobState.CANCELLED),
        ("deleted", JobState.CANCELLED),
    ],
)
def test_each_documented_status_has_its_state(name: str, state: JobState) -> None:
    status = status_of(sample(f"status-{name}.json"))
    assert (status.job_id, status.vendor, status.vendor_status, status.state) == (
        JOB,
        "talkdesk",
        name,
        state,
    )


@pytest.mark.parametrize("word", WORDS)
def test_two_status_sets_in_one_page_so_words_are_compared_in_any_case(word: str) -> None:
    expected = TalkdeskHook.statuses[word]
    for spelled in (word, word.upper(), word.capitalize()):
        assert status_of({"job": {"status": spelled}}).state is expected


def test_the_older_flat_job_is_read_like_the_nested_one() -> None:
    assert status_of(sample("status-flat.json")).state is JobState.SUCCEEDED
    assert status_of({"id": "0f9c", "status": "PROCESSING"}).state is JobState.RUNNING
    assert status_of(sample("status-flat.json"), 303, location=FILE).state is JobState.SUCCEEDED


def test_the_smallest_replies_are_enough() -> None:
    running = JobStatus(JOB, "talkdesk", JobState.RUNNING, "processing")
    assert status_of({"job": {"status": "processing"}}) == running
    assert status_of({"status": "processing"}) == running
    assert status_of(b"", 300, location=FILE) == DONE


def test_only_done_is_success() -> None:
    good = [word for word in TalkdeskHook.statuses if status_of({"status": word}).state is JobState.SUCCEEDED]
    assert good == ["done"]


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


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("word", ["failed", "FAILED", "error"])
def test_a_redirect_whose_body_says_failed_is_no_success(status: int, word: str) -> None:
    for body in ({"job": {"status": word}}, {"status": word}):
        assert status_of(body, status, location=FILE).state is JobState.FAILED


@pytest.mark.parametrize("status", [200, 300, 303])
@pytest.mark.parametrize("body", [{"job": {"id": "other", "status": "done"}}, {"id": 7, "status": "done"}])
def test_another_jobs_id_in_the_answer_is_refused(status: int, body: object) -> None:
    with pytest.raises(UnexpectedResponse, match="answered for the job"):
        status_of(body, status, location=FILE)


@pytest.mark.parametrize("text", [b'{"total": 0, "entries": 0}', b'{"total": 3}', b"7", b"{}", b""])
def test_what_is_neither_job_nor_report_is_no_status(text: bytes) -> None:
    with pytest.raises(UnexpectedResponse):
        status_of(text)


@pytest.mark.parametrize("location", ["http://[::1/files/j", "//", "http://[", "?/files/", "https://a:b:c/"])
def test_a_redirect_to_what_is_no_address_is_no_crash_and_no_result(location: str) -> None:
    for status in REDIRECTS:
        with pytest.raises(UnexpectedResponse, match=f"answered {status} and led to .*not the job's file"):
            status_of(b"", status, location=location)


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


def test_a_report_of_more_than_8_mib_that_comes_in_one_piece_is_done() -> None:
    rows = b",".join([b'{"status": "failed", "note": "' + b"x" * 1000 + b'"}'] * 9000)
    assert len(rows) > AGREED_BYTES
    text = b'{"entries": [' + rows + b'], "total": 9000}'
    assert status_of(text, file=reply(b"", 303, location=SIGNED)) == DONE


def test_rows_beside_a_status_do_not_change_what_it_says() -> None:
    assert status_of({"status": "processing", "entries": []}).state is JobState.RUNNING
    assert status_of({"job": {"status": "failed"}, "entries": []}).state is JobState.FAILED


@pytest.mark.parametrize(
    "body", [{"job": None}, {"job": []}, {"job": "done"}, {"job": {}}, {"job": {"status": 1}}]
)
def test_a_job_without_a_word_is_no_status(body: object) -> None:
    with pytest.raises(UnexpectedResponse):
        status_of(body)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestRejected),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
        (304, UnexpectedResponse),
    ],
)
@pytest.mark.parametrize("body", ["error.json", "error-short.json", None])
def test_an_error_is_named_with_or_without_message_and_description(
    status: int, error: type[VendorError], body: str | None
) -> None:
    with pytest.raises(error) as caught:
        status_of(b"" if body is None else sample(body), status)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.path) == (status, "/data/reports/calls/jobs/0f9c")


# Ids


@pytest.mark.parametrize(
    "job_id",
    [
        "0f9c",
        "calls/",
        "/0f9c",
        "calls/a/b",
        "calls/..",
        "../0f9c",
        "calls/%2e%2e",
        "calls/a?b",
        "calls/a#b",
        "",
    ],
)
def test_an_id_of_another_form_asks_nothing(job_id: str) -> None:
    hook = talkdesk()
    for flow in (status_flow(hook, job_id), file_flow(hook, job_id)):
        with pytest.raises(SettingsError, match="job_id"):
            next(flow)


def test_an_id_without_a_report_type_is_told_what_is_missing() -> None:
    with pytest.raises(SettingsError, match=r"names no report type: give '<report_type>/<jobId>'"):
        next(status_flow(talkdesk(), "0f9c"))


# The traps of the reference, by their names


def test_trap_1_authorization_sent_to_s3() -> None:
    hook = talkdesk()
    flow = with_credentials(hook, file_flow(hook, JOB))
    next(flow)  # the login
    request = flow.send("canary-token")
    assert request.headers["Authorization"] == "Bearer canary-token"
    stored = flow.send(reply(sample("status-done.json"), 303, location=SIGNED))
    assert (stored.url, stored.method) == (SIGNED, "GET")
    assert dict(stored.headers) == {"Accept": "*/*"}


def test_trap_1_a_storage_on_the_vendors_own_host_gets_no_credentials_either() -> None:
    hook = talkdesk()
    flow = with_credentials(hook, file_flow(hook, JOB))
    next(flow)
    flow.send("canary-token")
    stored = flow.send(reply(b"", 303, location="/stored/0f9c?sig=1"))
    assert stored.url == f"{API}/stored/0f9c?sig=1"
    assert dict(stored.headers) == {"Accept": "*/*"}


def test_trap_2_an_unfollowed_300_is_no_data() -> None:
    flow = file_flow(talkdesk(), JOB)
    next(flow)
    assert flow.send(reply(sample("status-done.json"), 300, location=SIGNED)).url == SIGNED


def test_trap_3_redirects_on_by_default_turn_polling_into_downloading() -> None:
    # status_of() fails if the flow asks for anything more than the file's place.
    stored = reply(b"", 303, location=SIGNED)
    for status in REDIRECTS:
        assert status_of(b"", status, file=stored, location=SIGNED) == DONE


@pytest.mark.parametrize("status", REDIRECTS)
def test_trap_4_accept_redirect_codes_as_a_set(status: int) -> None:
    assert status_of(b"", status, location=FILE) == DONE
    flow = file_flow(talkdesk(), JOB)
    next(flow)
    assert flow.send(reply(b"", status, location=SIGNED)).url == SIGNED


@pytest.mark.parametrize("status", REDIRECTS)
def test_trap_4_a_missing_location_falls_back_to_the_files_path(status: int) -> None:
    flow = status_flow(talkdesk(), JOB)
    next(flow)
    request = flow.send(reply(b"", status))
    assert (request.method, request.url, request.body) == ("GET", API + FILE, None)
    assert next(file_flow(talkdesk(), JOB)).url == API + FILE


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


@pytest.mark.parametrize("word", ["sending", "completed", "archived", "", "done!", "not done"])
@pytest.mark.parametrize("status", [200, 303])
def test_trap_8_an_unknown_status_is_no_success_and_no_end(word: str, status: int) -> None:
    with pytest.raises(UnexpectedResponse, match="extra 'statuses' of connection 'my_td'"):
        status_of({"job": {"status": word}}, status, location=FILE)


def test_trap_8_the_connection_may_teach_talkdesk_a_word() -> None:
    extra = {"statuses": {"Sending": "running"}}
    assert status_of({"status": "sending"}, extra=extra).state is JobState.RUNNING


def test_trap_9_204_is_still_running_and_its_body_is_not_read() -> None:
    for body in (b"", b"no json"):
        assert finish(status_flow(talkdesk(), JOB), reply(body, 204)).state is JobState.RUNNING


def test_trap_9_an_empty_body_with_200_is_no_status() -> None:
    with pytest.raises(UnexpectedResponse, match="the body is empty"):
        status_of(b"")


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


def test_trap_14_a_status_error_that_no_document_lists_is_a_failure() -> None:
    for word in ("error", "ERROR"):
        assert status_of({"status": word}).state is JobState.FAILED


def test_trap_17_job_ids_are_scoped_by_report_type() -> None:
    asked = {next(status_flow(talkdesk(), job_id)).path for job_id in (JOB, "user_status/0f9c")}
    assert asked == {"/data/reports/calls/jobs/0f9c", "/data/reports/user_status/jobs/0f9c"}
    assert finish(status_flow(talkdesk(), "user_status/0f9c"), reply(b"", 204)).job_id == "user_status/0f9c"


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


def test_a_file_may_come_at_once() -> None:
    request = next(file_flow(talkdesk(), JOB))
    assert (request.method, request.url) == ("GET", API + FILE)
    answer = finish(file_flow(talkdesk(), JOB), reply(b"", 200, content_type="text/csv"))
    assert answer.status == 200


def test_two_refused_addresses_end_the_flow() -> None:
    flow = file_flow(talkdesk(), JOB)
    next(flow)
    expired = reply(sample("storage-expired.xml"), 403)
    for _ in range(MAX_ADDRESSES - 1):
        flow.send(reply(b"", 303, location=SIGNED))
        flow.send(expired)
    flow.send(reply(b"", 303, location=SIGNED))
    with pytest.raises(UnexpectedResponse) as caught:
        flow.send(expired)
    assert "gave 2 signed addresses, and the storage refused each, the last with 403" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_second_redirect_is_not_followed(status: int) -> None:
    flow = file_flow(talkdesk(), JOB)
    next(flow)
    flow.send(reply(b"", 303, location=SIGNED))
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        flow.send(reply(b"", status, location=SIGNED + "-2"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UnexpectedResponse),
        (401, UnexpectedResponse),
        (404, NotFound),
        (410, NotFound),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_a_storage_that_repeats_the_address_in_its_error_does_not_get_it_shown(
    status: int, error: type[VendorError]
) -> None:
    body = f"<Error><Resource>{SIGNED}</Resource><Signature>canary-signature</Signature></Error>".encode()
    refusals = [reply(b"", 303, location=SIGNED), reply(body, status)] * MAX_ADDRESSES
    with pytest.raises(error) as caught:
        finish(file_flow(talkdesk(), JOB), *refusals)
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.args)):
        assert "canary" not in shown


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206])
@pytest.mark.parametrize("direct", [True, False])
def test_only_200_is_a_report(direct: bool, status: int) -> None:
    answers = [] if direct else [reply(b"", 303, location=SIGNED)]
    late = reply(
        b"", status, content_type="text/csv", **{"retry-after": "17", "content-range": "bytes 0-7/90"}
    )
    with pytest.raises(VendorError, match=f"{status}"):
        finish(file_flow(talkdesk(), JOB), *answers, late)


def test_an_empty_file_is_believed_of_the_storage_alone() -> None:
    empty = reply(b"", 200, content_type="text/csv", **{"content-length": "0"})
    with pytest.raises(UnexpectedResponse, match="answered with an empty file"):
        finish(file_flow(talkdesk(), JOB), empty)
    assert finish(file_flow(talkdesk(), JOB), reply(b"", 303, location=SIGNED), empty) is empty


# Trying a connection


def test_a_ping_asks_for_a_job_that_cannot_exist() -> None:
    request = next(talkdesk().ping_flow())
    assert (request.method, request.path.rpartition("/")[0]) == ("GET", "/data/reports/calls/jobs")


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("name", ["error.json", "error-short.json"])
def test_a_ping_whose_job_is_not_there_shows_that_the_credentials_are_accepted(
    status: int, name: str
) -> None:
    assert "accepts" in finish(talkdesk().ping_flow(), reply(sample(name), status))


@pytest.mark.parametrize(
    ("status", "error"), [(401, AccessDenied), (403, AccessDenied), (500, ServerError), (429, RateLimited)]
)
def test_a_ping_that_is_refused_says_so(status: int, error: type[VendorError]) -> None:
    with pytest.raises(error):
        finish(talkdesk().ping_flow(), reply(sample("error.json"), status))


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
