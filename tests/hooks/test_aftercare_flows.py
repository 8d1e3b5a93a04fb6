"""What is Aftercare's own in its replies: results that come with the status, and a failure's explanation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from tests.support.asking import asking, status_flow
from tests.support.flows import FIELDS, finish, hook_of, reply
from tests.support.flows import sample as any_sample
from tests.support.flows import status_of as any_status

JOB = "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377"
QUALITY = f"data-quality/{JOB}"
KEY = FIELDS["password"]


def sample(name: str) -> bytes:
    return any_sample(f"aftercare/{name}")


def status_of(body: bytes | object, job_id: Any = JOB) -> JobStatus:
    return any_status(hook_of(AftercareHook), job_id, reply(body))


def outline_of(body: bytes, size: int = 65536) -> tuple[bytes, int]:
    """Return what the status flow's outline leaves of a body, and how much of the body it read."""
    request = next(status_flow(hook_of(AftercareHook), JOB))
    outline = request.outline_for(200)
    for begin in range(0, len(body), size):
        if outline.feed(body[begin : begin + size]):
            return outline.json(), begin + size
    outline.finish()
    return outline.json(), len(body)


def test_a_vendor_that_documents_its_words_has_no_caveat() -> None:
    assert list(hook_of(AftercareHook).connection_warnings()) == []


@pytest.mark.parametrize("word", ["queued", "processing", "completed", "partial_failure", "total_failure"])
def test_trap_results_may_be_null_or_missing_and_explain_a_failure_only(word: str) -> None:
    explained: list[dict[str, Any]] = (
        [{"results": {"code": "X", "message": "y"}}] if word in ("queued", "processing") else []
    )
    for results in ({}, {"results": None}, *explained):
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


def test_a_hostile_message_is_one_short_line_without_our_key() -> None:
    body = {"status": "total_failure", "results": {"message": f"gone\r\n\x00\u202e {KEY} " + "x" * 9000}}
    detail = finish(asking(hook_of(AftercareHook), JOB), reply(body)).detail
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
@pytest.mark.parametrize("name", ["coding-completed", "coding-partial_failure", "coding-total_failure"])
def test_trap_a_status_is_found_wherever_it_stands_and_not_inside_the_results(
    name: str, order: tuple[int, ...]
) -> None:
    whole = json.loads(sample(f"{name}.json"))
    keys = ["batchJobId", "status", "results"]
    body = json.dumps({keys[at]: whole[keys[at]] for at in order}).encode()
    for size in (1, 7, 65536):
        # A failure is read to its explanation, also behind the status.
        assert status_of(outline_of(body, size)[0]) == status_of(whole)
    assert status_of(whole).vendor_status == name.partition("-")[2]


@pytest.mark.parametrize("word", ["partial_failure", "total_failure", "processing"])
def test_trap_data_quality_knows_failed_and_shares_the_other_words(word: str) -> None:
    assert status_of({"status": "failed"}, QUALITY).state is JobState.FAILED
    assert status_of({"status": word}, QUALITY).state is status_of({"status": word}).state


@pytest.mark.parametrize("asked", ["12345", 12345])
@pytest.mark.parametrize("answered", ["12345", 12345])
def test_trap_an_id_that_looks_like_a_number_is_a_text_all_the_same(asked: Any, answered: Any) -> None:
    assert status_of({"batchJobId": answered, "status": "completed"}, asked).state is JobState.SUCCEEDED
