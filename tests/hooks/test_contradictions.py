"""A success word beside an error, another job or another word is a failed poll, of every vendor alike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from tests.support.flows import hook_of, reply, status_of

#: Job, and a reply of success: where its word stands, and whole.
VENDORS: dict[str, tuple[Any, str, str, dict[str, Any]]] = {
    "aftercare": (AftercareHook, "b-7", "", {"batchJobId": "b-7", "status": "completed"}),
    "questionpro": (QuestionProHook, "417", "response", {"response": {"status": "Delivery Successful"}}),
    "ruler": (RulerHook, "shop/r-7", "", {"jobId": "r-7", "status": "complete"}),
    "talkdesk": (TalkdeskHook, "calls/c-7", "job", {"job": {"id": "c-7", "status": "done"}}),
}
EACH = pytest.mark.parametrize("vendor", VENDORS)

CONTRADICTIONS: list[dict[str, Any]] = [
    {"error": "no space left"},
    {"Error": {"number": 17}},
    {"errors": ["row 4"]},
    {"fault": {"faultstring": "x"}},
    {"error_message": "no space left"},
    {"ErrorCode": 17},
    {"failureReason": "the import has stopped"},
    {"failure_reason": "the import has stopped"},
    {"code": "E17", "message": "no space left"},
    {"code": 507, "title": "Insufficient Storage"},
    {"success": False},
    {"ok": "false"},
    {"ready": False},
    {"failed": True},
    {"hasErrors": True},
    {"state": "failed"},
    {"jobStatus": "processing"},
    {"Status": "ERROR"},
    {"result": "failed"},
    {"outcome": "Import failed"},
    {"phase": "not ready"},
    {"statusCode": 503},
    {"data": {"status": "failed"}},
    {"result": {"error": "no space left"}},
    {"results": {"code": "E17", "message": "no space left"}},
]

HARMLESS: list[dict[str, Any]] = [
    {"error": None, "errors": [], "fault": {}, "errorMessage": "", "failureReason": None, "errorCode": 0},
    {"success": True, "ok": "true", "failed": False, "failures": 3, "ready": True},
    {"failed": 0, "succeeded": 0},
    {"failed": 7},
    {"code": 200, "message": "OK"},
    {"message": "the import is complete", "description": "failed calls", "name": "error"},
    {"code": "E17"},
    {"results": None},
    {"results": []},
    {"results": {"completedAt": "2026-03-20T08:41:07Z", "questionCodes": [], "nextCursor": None}},
    {"result": "success", "phase": "finished", "outcome": "completed without errors", "statusCode": 200},
    {"requestID": "9", "surveyID": 5, "failureCount": 0, "warnings": ["3 rows are old"]},
]


def with_members(vendor: str, members: dict[str, Any], beside: bool) -> dict[str, Any]:
    """Return the vendor's success with members in the object that has its word, or beside that object."""
    _, _, inner, good = VENDORS[vendor]
    return good | members if beside or not inner else good | {inner: good[inner] | members}


def state_of(vendor: str, body: Any, *, read: bool = False) -> JobState:
    kind, job, _, _ = VENDORS[vendor]
    return status_of(hook_of(kind), job, reply(body), read=read).state


@EACH
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("members", CONTRADICTIONS, ids=str)
def test_a_success_beside_a_contradiction_is_a_failed_poll_that_names_it(
    vendor: str, beside: bool, members: dict[str, Any]
) -> None:
    for filler in ([], ["x" * 70_000]):
        body = with_members(vendor, members, beside) | {"rows": filler}
        name = "E17" if "E17" in str(members) else next(iter(members))
        with pytest.raises(UnexpectedResponse) as caught:
            state_of(vendor, body, read=True)
        said = next(iter(members.values()))
        named = next(iter(said)) if isinstance(said, dict) and name in ("data", "result") else name
        assert named in str(caught.value)


@EACH
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("members", HARMLESS, ids=str)
def test_what_says_nothing_against_a_success_changes_none(
    vendor: str, beside: bool, members: dict[str, Any]
) -> None:
    for filler in ([], ["x" * 70_000]):
        body = with_members(vendor, members, beside) | {"rows": filler}
        assert state_of(vendor, body, read=True) is JobState.SUCCEEDED


@EACH
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", ["id", "ID", "jobId", "job_id", "batchID", "batch_id", "BatchJobId"])
def test_another_job_is_refused_under_whatever_name(vendor: str, beside: bool, name: str) -> None:
    job = VENDORS[vendor][1]
    own = job.rpartition("/")[2]
    assert state_of(vendor, with_members(vendor, {name: own}, beside), read=True) is JobState.SUCCEEDED
    for other in (f"{own}0", 12, ["x"]):
        with pytest.raises(UnexpectedResponse, match="answered for the job"):
            state_of(vendor, with_members(vendor, {name: other}, beside), read=True)


@pytest.mark.parametrize(
    ("vendor", "name", "own", "other"),
    [
        ("ruler", "siteId", "shop", "depot"),
        ("ruler", "site_id", "SHOP", 12),
        ("talkdesk", "report_type", "calls", "contacts"),
        ("talkdesk", "reportType", "CALLS", "user_status"),
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_another_site_or_type_is_another_job(
    vendor: str, name: str, own: str, other: Any, beside: bool
) -> None:
    assert state_of(vendor, with_members(vendor, {name: own}, beside), read=True) is JobState.SUCCEEDED
    with pytest.raises(UnexpectedResponse, match=f"answered for the .*{other}"):
        state_of(vendor, with_members(vendor, {name: other}, beside), read=True)


@EACH
def test_a_word_of_the_connection_that_means_success_contradicts_none(vendor: str) -> None:
    kind, job, inner, good = VENDORS[vendor]
    hook = hook_of(kind, extra={"statuses": {"failed over": "succeeded"}})
    place = good[inner] if inner else good
    body = {inner: place | {"status": "Failed over"}} if inner else place | {"status": "Failed over"}
    assert status_of(hook, job, reply(body)).state is JobState.SUCCEEDED


@EACH
@pytest.mark.parametrize("status", [203, 205, 206, 207, 208, 226, 299])
def test_a_2xx_that_is_no_answer_about_a_job_is_a_failed_poll(vendor: str, status: int) -> None:
    kind, job, _, good = VENDORS[vendor]
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        status_of(hook_of(kind), job, reply(good, status))


@EACH
@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_usual_2xx_are(vendor: str, status: int) -> None:
    kind, job, _, good = VENDORS[vendor]
    assert status_of(hook_of(kind), job, reply(json.dumps(good).encode(), status)).state is JobState.SUCCEEDED
