"""The Aftercare stand-in."""

from __future__ import annotations

from functools import partial
from typing import Any

import jsonschema
import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox import client
from tests.sandbox.schemas import aftercare as schemas

ask = partial(client.ask, "aftercare")
NOW: dict[str, float] = {"queued_seconds": 0, "processing_seconds": 0}
QUESTION = {
    "questionIdentifier": "Q1",
    "question": "Why?",
    "responseEntries": [
        {"responseIdentifier": "1", "answer": "Because it is by far the best that there is in town."},
        {"responseIdentifier": "2", "answer": "So."},
    ],
}
ORDER = {"surveyIdentifier": "CSAT", "surveyResponses": [QUESTION]}
CONTEXT = {"industryDescription": "Toys", "brands": [{"name": "Acme"}]}
BRAND_ORDER = ORDER | {"surveyResponses": [QUESTION | {"brandContext": CONTEXT}]}
QUALITY_ORDER = {
    "surveyName": "CSAT",
    "callbackUrl": "https://callback.example/done",
    "responses": [{"surveyEntries": [{"question": "Why?", "answer": "So."}]}] * 2,
}


def coding(sandbox: Sandbox, job_id: str = "j", **params: str) -> dict[str, Any]:
    """Return the status of a coding job, which must be as the vendor describes it."""
    reply = ask(sandbox, f"coding/{job_id}", **params)
    assert reply.status_code == 200
    jsonschema.validate(reply.json(), schemas.CODING)
    body: dict[str, Any] = reply.json()
    assert body["batchJobId"] == job_id
    return body


def quality(sandbox: Sandbox, job_id: str = "j", **params: str) -> dict[str, Any]:
    """Return the status of a data-quality job, which must be as the vendor describes it."""
    reply = ask(sandbox, f"data-quality/batch/{job_id}", **params)
    assert reply.status_code == 200
    jsonschema.validate(reply.json(), schemas.QUALITY)
    body: dict[str, Any] = reply.json()
    return body


def check_error(reply: requests.Response, status: int, code: str) -> dict[str, Any]:
    jsonschema.validate(reply.json(), schemas.ERROR)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    body: dict[str, Any] = reply.json()
    return body


ENDPOINTS = [
    ("POST", "coding"),
    ("POST", "brand-coding"),
    ("GET", "coding/coding-demo"),
    ("GET", "coding/not an id"),
    ("POST", "data-quality/batch"),
    ("GET", "data-quality/batch/nope"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_missing_or_wrong_key_is_a_403_everywhere(shared: Sandbox, method: str, path: str) -> None:
    key = shared.connection("aftercare")["password"]
    for headers in (
        {},
        {"X-Aftercare-Key": "wrong"},
        {"X-Aftercare-Key": ""},
        {"X-Aftercare-Key": b"\xff\xfe"},
        {"Authorization": f"Bearer {key}"},
        {"api-key": key},
    ):
        url = f"{shared.api_url}/api/v1/{path}"
        check_error(requests.request(method, url, headers=headers, timeout=10), 403, "INVALID_API_KEY")


def test_a_key_can_be_rotated_and_revoked(sandbox: Sandbox) -> None:
    old = {"X-Aftercare-Key": sandbox.connection("aftercare")["password"]}
    sandbox.change_settings("aftercare", api_key="new")
    url = f"{sandbox.api_url}/api/v1/coding/coding-demo"
    assert requests.get(url, headers=old, timeout=10).status_code == 403
    assert coding(sandbox, "coding-demo")["status"] == "queued"
    assert (sandbox.revoke_tokens("aftercare"), sandbox.revoke_tokens("aftercare")) == (1, 0)
    check_error(ask(sandbox, "coding/coding-demo"), 403, "INVALID_API_KEY")
    sandbox.change_settings("aftercare", api_key="newer")
    assert coding(sandbox, "coding-demo")["status"] == "queued"
    assert sandbox.settings("aftercare")["keys_refused"] == 2


def test_the_connection_is_a_base_url_and_a_key_of_its_own(sandbox: Sandbox) -> None:
    connection = sandbox.connection("aftercare")
    assert set(connection) == {"conn_type", "host", "password"}
    assert connection["host"] == f"{sandbox.api_url}/api/v1"
    assert connection["password"].startswith("sandbox-password-")
    with Sandbox(settings={"aftercare": {"api_key": "canary"}}) as other:
        assert other.connection("aftercare")["password"] == "canary"


def test_a_job_moves_with_the_clock_and_has_results_at_its_end(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", queued_seconds=100, processing_seconds=100, survey_identifier="s")
    bodies = [coding(sandbox)]
    for _ in range(2):
        sandbox.advance_clock(100)
        bodies.append(coding(sandbox))
    assert [body["status"] for body in bodies] == ["queued", "processing", "completed"]
    assert [list(body) for body in bodies] == [["batchJobId", "surveyIdentifier", "status", "results"]] * 3
    assert [body["results"] is None for body in bodies] == [True, True, False]
    assert {body["surveyIdentifier"] for body in bodies} == {"s"}
    questions = bodies[2]["results"]["questionCodes"]
    assert [question["questionIdentifier"] for question in questions] == ["Q1", "Q2"]
    first = questions[0]["responseCodes"][0]
    assert first["subCodes"][0]["subCodes"][0]["subCodes"] == []
    assert bodies[2]["results"]["nextCursor"] is None
    (view,) = [job for job in sandbox.jobs() if job["vendor"] == "aftercare" and job["id"] == "j"]
    assert (view["status"], view["polls"]) == ("completed", 3)


def test_results_may_be_absent_while_the_job_runs(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", running_results="absent")
    assert "results" not in coding(sandbox)
    sandbox.advance_clock(60)
    assert "questionCodes" in coding(sandbox)["results"]


@pytest.mark.parametrize("end", ["partial_failure", "total_failure"])
def test_a_job_that_fails_tells_why_in_its_results(sandbox: Sandbox, end: str) -> None:
    sandbox.put_job("aftercare", "j", end=end, failure_code="TOO_FEW", failure_message="why", **NOW)
    body = coding(sandbox)
    assert (body["status"], body["results"]) == (end, {"code": "TOO_FEW", "message": "why"})


def test_a_script_tells_words_faults_and_results(sandbox: Sandbox) -> None:
    script = [
        "queued",
        {"http": 504, "body": "<html>", "content_type": "text/html"},
        "total_failure",
        {"status": "completed", "results": None},
    ]
    sandbox.put_job("aftercare", "j", script=script)
    assert coding(sandbox)["status"] == "queued"
    assert ask(sandbox, "coding/j").status_code == 504
    assert coding(sandbox)["results"]["code"] == "PROCESSING_ERROR"
    odd = ask(sandbox, "coding/j").json()
    assert (odd["status"], odd["results"]) == ("completed", None)


def test_the_end_of_a_scripted_job_stays_where_it_was_first_shown(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", script=["completed"])
    first = coding(sandbox)
    sandbox.advance_clock(500)
    assert coding(sandbox) == first


def test_an_unknown_job_is_a_404_and_a_malformed_id_a_400(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "data-quality/only-there")
    for path in ("coding/nope", "coding/only-there", "data-quality/batch/coding-demo"):
        check_error(ask(sandbox, path), 404, "NOT_FOUND")
    for path in ("coding/no%20id", "coding/%2e%2e%2f", "coding/a_b", "data-quality/batch/%C3%BC"):
        check_error(ask(sandbox, path), 400, "INVALID_REQUEST")
    check_error(ask(sandbox, "nowhere"), 404, "NOT_FOUND")


@pytest.mark.parametrize(("path", "order"), [("coding", ORDER), ("brand-coding", BRAND_ORDER)])
def test_an_order_is_accepted_and_its_answers_come_back_coded(
    sandbox: Sandbox, path: str, order: dict[str, Any]
) -> None:
    sandbox.change_settings("aftercare", create_queued_seconds=100, create_processing_seconds=100)
    reply = ask(sandbox, path, order)
    assert reply.status_code == 202
    jsonschema.validate(reply.json(), schemas.CODING)
    job_id = reply.json()["batchJobId"]
    assert reply.json() == {
        "batchJobId": job_id,
        "surveyIdentifier": "CSAT",
        "status": "queued",
        "results": None,
    }
    sandbox.advance_clock(100)
    assert coding(sandbox, job_id)["status"] == "processing"
    sandbox.advance_clock(100)
    (question,) = coding(sandbox, job_id)["results"]["questionCodes"]
    assert (question["questionIdentifier"], question["question"]) == ("Q1", "Why?")
    coded = [entry for code in question["responseCodes"] for entry in code["responses"]]
    assert coded == QUESTION["responseEntries"]
    assert sandbox.settings("aftercare")["jobs_created"] == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("coding", ORDER | {"surveyIdentifier": ""}, "surveyIdentifier"),
        ("coding", ORDER | {"surveyIdentifier": 1}, "surveyIdentifier"),
        ("coding", ORDER | {"surveyResponses": []}, "surveyResponses"),
        ("coding", ORDER | {"surveyResponses": [1]}, "surveyResponses[0].question"),
        (
            "coding",
            ORDER | {"surveyResponses": [QUESTION | {"responseEntries": [{"responseIdentifier": "1"}]}]},
            "surveyResponses[0].responseEntries[0].answer",
        ),
        ("brand-coding", ORDER, "surveyResponses[0].brandContext.industryDescription"),
        ("data-quality/batch", QUALITY_ORDER | {"callbackUrl": None}, "callbackUrl"),
        ("data-quality/batch", QUALITY_ORDER | {"surveyName": ""}, "surveyName"),
        ("data-quality/batch", QUALITY_ORDER | {"responses": [{}]}, "responses[0].surveyEntries"),
        ("coding", [], None),
        ("data-quality/batch", "x", None),
    ],
)
def test_an_order_that_is_no_good_is_a_400_with_details(
    sandbox: Sandbox, path: str, body: object, field: str | None
) -> None:
    before = len(sandbox.jobs())
    error = check_error(ask(sandbox, path, body), 400, "INVALID_REQUEST")
    assert field in error["details"] if field else "details" not in error
    assert len(sandbox.jobs()) == before
    assert sandbox.settings("aftercare")["jobs_created"] == 0


def test_a_body_that_is_no_json_is_a_400(sandbox: Sandbox) -> None:
    connection = sandbox.connection("aftercare")
    headers = {"X-Aftercare-Key": connection["password"]}
    reply = requests.post(f"{connection['host']}/coding", data=b"{", headers=headers, timeout=10)
    check_error(reply, 400, "INVALID_REQUEST")


def pages(sandbox: Sandbox, parameter: str = "cursor") -> list[dict[str, Any]]:
    """Follow the cursors until the last page, or until one repeats."""
    bodies, seen = [coding(sandbox)], set()
    while (cursor := bodies[-1]["results"].get("nextCursor")) not in {None, *seen}:
        seen.add(cursor)
        bodies.append(coding(sandbox, **{parameter: cursor}))
    return bodies


def test_results_come_in_pages_and_a_question_goes_on_in_the_next(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", questions=2, codes_per_question=3, **NOW)
    (whole,) = pages(sandbox)
    sandbox.change_settings("aftercare", page_size=2)
    cut = pages(sandbox)
    shown = [
        [(question["questionIdentifier"], code["id"]) for code in question["responseCodes"]]
        for body in cut
        for question in body["results"]["questionCodes"]
    ]
    assert shown == [[("Q1", 1), ("Q1", 2)], [("Q1", 3)], [("Q2", 1)], [("Q2", 2), ("Q2", 3)]]
    codes = [
        code
        for body in cut
        for question in body["results"]["questionCodes"]
        for code in question["responseCodes"]
    ]
    assert codes == [
        code for question in whole["results"]["questionCodes"] for code in question["responseCodes"]
    ]
    assert cut[-1]["results"]["nextCursor"] is None
    assert cut[0]["results"]["nextCursor"].endswith("="), "a client has to quote it"


def test_the_last_cursor_may_be_absent(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", page_size=4, last_cursor="absent", **NOW)
    first, last = pages(sandbox)
    assert "nextCursor" in first["results"]
    assert "nextCursor" not in last["results"]


def test_another_parameter_gets_the_first_page_for_ever(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", page_size=2, **NOW)
    first, again = pages(sandbox, parameter="page")
    assert again == first
    sandbox.change_settings("aftercare", cursor_parameter="page")
    assert len(pages(sandbox, parameter="page")) == 3


def test_a_cursor_can_be_made_to_repeat(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", page_size=2, **NOW)
    sandbox.change_settings("aftercare", repeat_cursor=True)
    first, second = pages(sandbox)
    cursor = first["results"]["nextCursor"]
    assert second["results"]["nextCursor"] == cursor
    assert coding(sandbox, cursor=cursor) == second != first


@pytest.mark.parametrize("cursor", ["x", "", "YWZ0ZXI6OTk=", "YWZ0ZXI6MA==", "ÿ", "b3RoZXI6Mg=="])
def test_an_unknown_cursor_is_a_400(shared: Sandbox, cursor: str) -> None:
    shared.put_job("aftercare", "j", page_size=2, **NOW)
    error = check_error(ask(shared, "coding/j", cursor=cursor), 400, "INVALID_REQUEST")
    assert set(error["details"]) == {"cursor"}


ORDERS = {
    "usual": ["batchJobId", "surveyIdentifier", "status", "results"],
    "first": ["status", "batchJobId", "surveyIdentifier", "results"],
    "middle": ["batchJobId", "results", "status", "surveyIdentifier"],
    "last": ["batchJobId", "surveyIdentifier", "results", "status"],
}


@pytest.mark.parametrize("position", list(ORDERS))
@pytest.mark.parametrize("size", [None, 0, 1_000_000])
def test_the_status_stands_where_it_is_asked_to(shared: Sandbox, position: str, size: int | None) -> None:
    shared.put_job("aftercare", "j", status_position=position, results_bytes=size, **NOW)
    assert list(coding(shared)) == ORDERS[position]


def test_large_results_have_the_size_and_are_good(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", results_bytes=3_000_000, **NOW)
    body = coding(sandbox)
    (question,) = body["results"]["questionCodes"]
    answers = [entry for code in question["responseCodes"] for entry in code["responses"]]
    assert len({entry["responseIdentifier"] for entry in answers}) == len(answers)
    assert '"status": "queued"}' in answers[0]["answer"]
    assert body["results"]["nextCursor"] is None
    reply = ask(sandbox, "coding/j")
    assert 2_900_000 < len(reply.content) < 3_100_000
    assert reply.headers["Content-Length"] == str(len(reply.content))


def test_very_large_results_begin_at_once_and_a_reader_may_leave(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", results_bytes=10**12, status_position="first", **NOW)
    connection = sandbox.connection("aftercare")
    headers = {"X-Aftercare-Key": connection["password"]}
    url = f"{connection['host']}/coding/j"
    with requests.get(url, headers=headers, stream=True, timeout=10) as reply:
        assert next(reply.iter_content(100)).startswith(b'{"status": "completed", "batchJobId": "j"')
    assert coding(sandbox, "coding-demo")["status"] == "queued"


def test_large_results_are_only_sent_by_a_completed_job(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "j", results_bytes=10**12, script=["processing", "total_failure"])
    assert coding(sandbox)["results"] is None
    assert set(coding(sandbox)["results"]) == {"code", "message"}


def test_a_data_quality_job_has_words_of_its_own(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "data-quality/j", queued_seconds=100, processing_seconds=100, responses=3)
    bodies = [quality(sandbox)]
    for _ in range(2):
        sandbox.advance_clock(100)
        bodies.append(quality(sandbox))
    assert [body["status"] for body in bodies] == ["queued", "processing", "completed"]
    assert [len(body["results"]["items"]) for body in bodies] == [0, 0, 3]
    sandbox.put_job("aftercare", "data-quality/j", end="failed", **NOW)
    assert quality(sandbox)["status"] == "failed"
    assert "data-quality/j" in [job["id"] for job in sandbox.jobs()]


def test_a_data_quality_batch_is_accepted_and_calls_nobody_back(sandbox: Sandbox) -> None:
    reply = ask(sandbox, "data-quality/batch", QUALITY_ORDER)
    assert reply.status_code == 202
    jsonschema.validate(reply.json(), schemas.QUALITY)
    assert reply.json()["status"] == "queued"
    sandbox.advance_clock(60)
    assert len(quality(sandbox, reply.json()["batchJobId"])["results"]["items"]) == 2


def test_data_quality_results_come_in_pages(sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", "data-quality/j", page_size=2, responses=3, **NOW)
    first = quality(sandbox)["results"]
    second = quality(sandbox, cursor=first["nextCursor"])["results"]
    assert (len(first["items"]), len(second["items"]), second["nextCursor"]) == (2, 1, None)


def test_the_demo_job_starts_at_its_first_status_request_and_takes_20_seconds(sandbox: Sandbox) -> None:
    sandbox.advance_clock(3600)
    assert coding(sandbox, "coding-demo")["status"] == "queued"
    sandbox.advance_clock(10)
    assert coding(sandbox, "coding-demo")["status"] == "processing"
    sandbox.advance_clock(10)
    assert coding(sandbox, "coding-demo")["status"] == "completed"
