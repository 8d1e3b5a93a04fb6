"""Conversations with Aftercare as values: no server, no transport."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import requests
from airflow.sdk import Connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from tests.sandbox.schemas import aftercare as schemas
from tests.support.asking import asking, status_flow

SAMPLES = Path(__file__).parent.parent / "samples" / "aftercare"
BASE = "https://surveys.getaftercare.com/api/v1"
JOB = "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377"
QUALITY = f"data-quality/{JOB}"
KEY = "canary-aftercare-key"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def aftercare(**fields: Any) -> AftercareHook:
    fields = {"conn_id": "my_aftercare", "conn_type": "aftercare", "password": KEY, **fields}
    fields["extra"] = json.dumps(fields.get("extra") or {})
    return AftercareHook.from_connection(Connection(**fields))


def reply(body: bytes | object = b"", status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def finish(flow: Flow[Any], answer: Response) -> Any:
    """Send the answer to a flow and return its result."""
    next(flow)
    try:
        flow.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the flow asks on")


def status_of(body: bytes | object, job_id: str = JOB, **fields: Any) -> JobStatus:
    result = finish(status_flow(aftercare(**fields), job_id), reply(body))
    assert isinstance(result, JobStatus)
    return result


def outline_of(body: bytes, size: int = 65536) -> tuple[bytes, int]:
    """Return what the status flow's outline leaves of a body, and how much of the body it read."""
    request = next(status_flow(aftercare(), JOB))
    outline = request.outline_for(200)
    for begin in range(0, len(body), size):
        if outline.feed(body[begin : begin + size]):
            return outline.json(), begin + size
    outline.finish()
    return outline.json(), len(body)


# Status


def test_a_status_of_coding_is_one_get_that_reads_an_outline() -> None:
    request = next(status_flow(aftercare(), JOB))
    assert (request.method, request.url) == ("GET", f"{BASE}/coding/{JOB}")
    assert (request.body, request.outline is None) == (None, False)


def test_data_quality_jobs_have_a_path_of_their_own() -> None:
    assert next(status_flow(aftercare(), QUALITY)).url == f"{BASE}/data-quality/batch/{JOB}"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("coding-queued", JobState.RUNNING),
        ("coding-processing", JobState.RUNNING),
        ("coding-completed", JobState.SUCCEEDED),
        ("coding-partial_failure", JobState.PARTIAL),
        ("coding-total_failure", JobState.FAILED),
        ("quality-queued", JobState.RUNNING),
        ("quality-processing", JobState.RUNNING),
        ("quality-completed", JobState.SUCCEEDED),
        ("quality-failed", JobState.FAILED),
    ],
)
def test_each_documented_status_has_its_state(name: str, state: JobState) -> None:
    kind, _, word = name.partition("-")
    job_id = QUALITY if kind == "quality" else JOB
    for body in (sample(f"{name}.json"), outline_of(sample(f"{name}.json"))[0]):
        status = status_of(body, job_id)
        assert (status.state, status.vendor_status, status.known) == (state, word, True)
        assert (status.job_id, status.vendor) == (job_id, "aftercare")


def test_the_whole_of_a_status_is_read() -> None:
    assert status_of(sample("coding-total_failure.json")).as_dict() == {
        "job_id": JOB,
        "vendor": "aftercare",
        "state": "failed",
        "vendor_status": "total_failure",
        "detail": "PROCESSING_ERROR: No answer could be coded.",
        "progress": None,
        "counts": None,
        "created_at": None,
        "completed_at": None,
    }


def test_the_smallest_reply_is_enough() -> None:
    assert status_of({"status": "processing"}) == JobStatus(JOB, "aftercare", JobState.RUNNING, "processing")


@pytest.mark.parametrize("word", ["success", "complete", "partial", "", "cancelled", "None"])
def test_a_word_that_the_page_does_not_list_is_never_taken_for_one_that_it_does(word: str) -> None:
    with pytest.raises(UnexpectedResponse, match="extra 'statuses' of connection 'my_aftercare'"):
        status_of({"status": word})


@pytest.mark.parametrize("word", [None, 3, True, ["completed"], {"word": "completed"}])
def test_a_status_that_is_no_text_is_unexpected(word: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="without a status word"):
        status_of({"status": word})


def test_the_connection_may_teach_aftercare_a_word() -> None:
    extra = {"statuses": {"Archived": "succeeded"}}
    assert status_of({"status": "archived"}, extra=extra).state is JobState.SUCCEEDED


def test_a_vendor_that_documents_its_words_has_no_caveat() -> None:
    assert list(aftercare().connection_warnings()) == []


# Traps


def test_trap_a_bad_key_is_a_403_and_means_refused_credentials() -> None:
    with pytest.raises(AccessDenied, match=r"403 Forbidden.*INVALID_API_KEY"):
        finish(asking(aftercare(), JOB), reply(sample("error-403.json"), 403))


@pytest.mark.parametrize("word", ["queued", "processing", "completed", "partial_failure", "total_failure"])
@pytest.mark.parametrize("results", [{}, {"results": None}], ids=["absent", "null"])
def test_trap_results_may_be_null_or_missing(word: str, results: dict[str, Any]) -> None:
    status = status_of({"batchJobId": JOB, "status": word, **results})
    assert (status.vendor_status, status.detail) == (word, None)


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("coding-partial_failure", "TIMEOUT: Two of nine questions were not coded."),
        ("coding-total_failure", "PROCESSING_ERROR: No answer could be coded."),
    ],
)
def test_trap_on_the_failure_words_results_are_an_error_which_becomes_the_detail(
    name: str, detail: str
) -> None:
    assert status_of(sample(f"{name}.json")).detail == detail
    assert status_of(outline_of(sample(f"{name}.json"))[0]).detail == detail


@pytest.mark.parametrize(
    ("results", "detail"),
    [
        ({"code": "X"}, "X"),
        ({"message": "why"}, "why"),
        ({"code": None, "message": ""}, None),
        ({"code": 7, "message": "why"}, "7: why"),
        ([], None),
        ("broken", None),
        ({"questionCodes": []}, None),
    ],
)
def test_trap_a_failure_without_code_or_message_makes_up_nothing(results: Any, detail: str | None) -> None:
    assert status_of({"status": "total_failure", "results": results}).detail == detail


@pytest.mark.parametrize("word", ["queued", "processing", "completed"])
def test_trap_no_other_word_takes_a_detail_from_the_results(word: str) -> None:
    assert status_of({"status": word, "results": {"code": "X", "message": "y"}}).detail is None


def test_a_hostile_message_is_one_short_line_without_our_key() -> None:
    body = {"status": "total_failure", "results": {"message": f"gone\r\n\x00\u202e {KEY} " + "x" * 9000}}
    detail = finish(asking(aftercare(), JOB), reply(body)).detail
    assert detail.isprintable()
    assert len(detail) <= 500
    assert "canary" not in detail


def test_trap_a_status_comes_with_all_results_which_are_not_kept_and_not_all_read() -> None:
    text = sample("coding-completed.json").decode()
    long = text.replace('"Billing"', '"' + "x" * 20_000_000 + '"').encode()
    kept, read = outline_of(long, 1024)
    assert status_of(kept).vendor_status == "completed"
    assert len(kept) < 200
    assert AGREED_BYTES < read < AGREED_BYTES + 50_000


def test_what_is_believed_of_a_very_long_reply_names_its_job() -> None:
    results = b'"results": {"x": "' + b"x" * (AGREED_BYTES + 100_000) + b'"}'
    named = b'"batchJobId": "' + JOB.encode() + b'"'
    kept, read = outline_of(b'{"status": "completed", ' + results + b", " + named + b"}")
    assert (status_of(kept).state, read > AGREED_BYTES) == (JobState.SUCCEEDED, True)
    kept, _ = outline_of(b'{"status": "completed", ' + results + b', "batchJobId": "another"}')
    with pytest.raises(UnexpectedResponse, match="for the job 'another'"):
        status_of(kept)
    with pytest.raises(ValueError, match="what it is about"):
        outline_of(b'{"status": "completed", ' + results + b"}")


@pytest.mark.parametrize("size", [100, 200_000])
def test_a_failure_is_explained_however_long_its_reply_is(size: int) -> None:
    stack = json.dumps(["frame"] * (size // 9))
    for code in ('"TOO_LONG"', '["A", "B"]', "{}", "null"):
        body = (
            f'{{"status": "total_failure", "results": {{"stack": {stack}, "code": {code}, "message": "no"}}}}'
        )
        kept, _ = outline_of(body.encode())
        assert status_of(kept) == status_of(body.encode())


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_trap_a_status_is_found_wherever_it_stands_and_not_inside_the_results(order: tuple[int, ...]) -> None:
    whole = json.loads(sample("coding-completed.json"))
    keys = ["batchJobId", "status", "results"]
    body = json.dumps({keys[at]: whole[keys[at]] for at in order}).encode()
    for size in (1, 7, 65536):
        assert status_of(outline_of(body, size)[0]).vendor_status == "completed"


def test_trap_a_failure_is_read_to_its_explanation_also_behind_the_status() -> None:
    body = b'{"status": "total_failure", "batchJobId": "%s", "results": {"code": "A", "message": "b"}}'
    kept, _ = outline_of(body % JOB.encode(), 3)
    assert status_of(kept).detail == "A: b"


@pytest.mark.parametrize("body", [sample("error-504.json"), sample("error-504.html"), b"", b"\xff\xfe"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trap_a_504_is_an_outage_whatever_its_body(status: int, body: bytes) -> None:
    with pytest.raises(ServerError) as caught:
        finish(status_flow(aftercare(), JOB), reply(body, status, content_type="text/html"))
    assert caught.value.status == status
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("body", [sample("error-504.html"), b"", b" ", b"null", b"[]", b"{", b'"completed"'])
def test_trap_a_page_of_html_or_nothing_with_200_is_no_status(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        status_of(body)
    assert "Gateway" not in str(caught.value)


def test_trap_a_malformed_id_is_a_400_and_refused() -> None:
    with pytest.raises(
        RequestRejected,
        match=f"GET surveys.getaftercare.com/api/v1/coding/{JOB}: answered 400.*INVALID_REQUEST",
    ):
        finish(status_flow(aftercare(), JOB), reply(sample("error-400.json"), 400))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AccessDenied), (404, NotFound), (429, RateLimited), (422, RequestRejected), (408, ServerError)],
)
def test_an_error_is_known_by_its_status(status: int, error: type[VendorError]) -> None:
    with pytest.raises(error):
        finish(status_flow(aftercare(), JOB), reply(sample("error-404.json"), status))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_trap_a_redirect_is_never_followed_with_the_key(status: int) -> None:
    flow = asking(aftercare(), JOB)
    assert next(flow).headers["X-Aftercare-Key"] == KEY
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        flow.send(reply(b"", status, location="https://other.example/"))


@pytest.mark.parametrize("word", ["partial_failure", "total_failure", "processing"])
def test_trap_data_quality_knows_failed_and_shares_the_other_words(word: str) -> None:
    assert status_of({"status": "failed"}, QUALITY).state is JobState.FAILED
    assert status_of({"status": word}, QUALITY).state is status_of({"status": word}).state


@pytest.mark.parametrize("answered", ["another", JOB.upper(), 7, "", ["x"], JOB + "\u202e"])
@pytest.mark.parametrize("asked", [JOB, QUALITY])
def test_the_status_of_another_job_is_refused(asked: str, answered: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="answered for the job"):
        status_of({"batchJobId": answered, "status": "completed"}, asked)


@pytest.mark.parametrize("asked", ["12345", 12345])
@pytest.mark.parametrize("answered", ["12345", 12345])
def test_trap_an_id_that_looks_like_a_number_is_a_text_all_the_same(asked: Any, answered: Any) -> None:
    assert status_of({"batchJobId": answered, "status": "completed"}, asked).state is JobState.SUCCEEDED


# Job ids


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        (f"  {JOB}\n", f"coding/{JOB}"),
        (41, "coding/41"),
        ("j;2&x=y", "coding/j%3B2%26x%3Dy"),
        ("..j", "coding/..j"),
        ("data-quality", "coding/data-quality"),
        ("data-quality/j:1", "data-quality/batch/j%3A1"),
        ("data-quality/data-quality", "data-quality/batch/data-quality"),
    ],
)
def test_a_job_id_is_quoted_into_its_path(job_id: Any, path: str) -> None:
    assert next(status_flow(aftercare(), job_id)).url == f"{BASE}/{path}"


@pytest.mark.parametrize(
    "job_id",
    [
        *("", "  ", "None", "null", None, True, 1.5, b"j", ["j"], {"job_id": "j"}),
        *("..", ".", "../x", "a/b", "/j", "j/", "j?x", "j#x", "%2e%2e", "j%2Fk", "j\\k", "j k", "j\nk", "jö"),
        *("https://evil.example/j", "coding/j", "Data-Quality/j", "data-quality/batch/j"),
        *("data-quality/", "data-quality/ ", "data-quality//", "data-quality/..", "data-quality/a/b"),
        *("data-quality/data-quality/j", "data-quality/j?x", "data-quality/%2e", "data-quality/ j"),
        "j" * 501,
    ],
)
def test_a_malformed_job_id_is_refused_before_anything_is_asked(job_id: Any) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        next(status_flow(aftercare(), job_id))


ODD_IDS = st.text(max_size=30) | st.text("aZ09./%2eEfF\\?#;:@&=+~ \t\n-_é\u2025\u2215", max_size=30)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(ODD_IDS, st.sampled_from(["", "data-quality/"]))
@example("%2e%2e", "")
@example("../..", "data-quality/")
def test_no_job_id_leads_outside_its_kind_and_job(rest: str, kind: str) -> None:
    try:
        request = next(status_flow(aftercare(), kind + rest))
    except SettingsError:
        return
    # As our client puts it on the wire.
    parts = urlsplit(requests.Request("GET", request.url).prepare().url or "")
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == (
        "https",
        "surveys.getaftercare.com",
        "",
        "",
    )
    before, _, job = parts.path.rpartition("/")
    quality = (kind + rest).strip().startswith("data-quality/")
    assert before == "/api/v1/" + ("data-quality/batch" if quality else "coding")
    assert unquote(job) == (kind + rest).strip().removeprefix("data-quality/")
    assert job.strip(".")


# Credentials and hosts


def test_the_key_goes_in_its_own_header_and_nowhere_else() -> None:
    request = next(asking(aftercare(password=f" {KEY} "), JOB))
    assert isinstance(request, Request)
    assert dict(request.headers) == {"X-Aftercare-Key": KEY}
    assert KEY not in request.url
    assert KEY not in repr(request)


def test_a_connection_without_a_key_is_named_with_its_fix() -> None:
    for password in (None, "", "  "):
        with pytest.raises(SettingsError, match="connection 'my_aftercare': password is not set; set it to"):
            next(asking(aftercare(password=password), JOB))


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, BASE),
        ("staging.aftercareai.com", "https://staging.aftercareai.com/api/v1"),
        ("https://staging.aftercareai.com/", "https://staging.aftercareai.com/api/v1"),
        ("https://surveys.getaftercare.com/api/v1/", BASE),
    ],
)
def test_a_host_may_be_an_origin_or_the_whole_base(host: str | None, base: str) -> None:
    assert next(status_flow(aftercare(host=host), JOB)).url == f"{base}/coding/{JOB}"


# Ping


def test_a_ping_asks_for_a_job_that_cannot_exist() -> None:
    request = next(aftercare().ping_flow())
    assert (request.method, request.body) == ("GET", None)
    assert request.url == f"{BASE}/coding/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("status", [404, 400])
def test_a_ping_whose_job_is_not_there_shows_that_the_key_is_accepted(status: int) -> None:
    answer = reply(sample(f"error-{status}.json"), status)
    assert finish(aftercare().ping_flow(), answer) == "Aftercare accepts the key"


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, AccessDenied), (401, AccessDenied), (500, ServerError), (504, ServerError), (429, RateLimited)],
)
def test_a_ping_that_is_refused_or_fails_is_an_error(status: int, error: type[VendorError]) -> None:
    with pytest.raises(error):
        finish(aftercare().ping_flow(), reply(sample("error-403.json"), status))


@pytest.mark.parametrize("status", [200, 302, 400, 404])
@pytest.mark.parametrize("body", [sample("error-504.html"), b"", b"[]", b"7"])
def test_a_ping_that_finds_something_else_than_aftercare_is_an_error(status: int, body: bytes) -> None:
    with pytest.raises(VendorError):
        finish(aftercare().ping_flow(), reply(body, status, content_type="text/html"))


# Samples


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_every_sample_is_as_the_vendor_describes_it(path: Path) -> None:
    kinds = {"coding": schemas.CODING, "quality": schemas.QUALITY, "error": schemas.ERROR}
    jsonschema.validate(json.loads(path.read_bytes()), kinds[path.name.partition("-")[0]])


def test_every_sample_has_a_source() -> None:
    sources = (SAMPLES / "SOURCES.md").read_text()
    assert [
        path.name
        for path in SAMPLES.iterdir()
        if path.name != "SOURCES.md" and f"`{path.name}`" not in sources
    ] == []
