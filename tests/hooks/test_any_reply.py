"""Whatever a vendor answers, a question ends in a status that was said, or in a documented error."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.body import BodyReader
from airflow_provider_jobstatus.core.errors import ApiError, TransportError, UnexpectedResponse
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.asking import status_flow
from tests.support.values import anything, assert_storable, hostile_text, json_values

HOOKS: dict[str, tuple[type[BatchJobHook], str]] = {
    "ruler": (RulerHook, "site-1/job-1"),
    "talkdesk": (TalkdeskHook, "calls/job-1"),
    "aftercare": (AftercareHook, "job-1"),
    "questionpro": (QuestionProHook, "77"),
}
#: Keys and words of all vendors, so that what is made up comes close to what is documented.
KEYS = st.sampled_from(["status", "job", "response", "id", "batchJobId", "results", "entries", "error", "x"])
WORDS = sorted({word for hook, _ in HOOKS.values() for word in hook.statuses})
LEAVES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS).map(str.upper),
    st.sampled_from(WORDS).flatmap(lambda word: hostile_text.map(lambda text: word + text)),
    st.sampled_from(WORDS).flatmap(lambda word: st.text("\0\x1b\u200b\ud800 ", max_size=2).map(word.__add__)),
    st.sampled_from([None, True, 1, 1.5, "", "77", 77, "job-1", 10**30]),
)
NEAR = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.one_of(NEAR, json_values).map(lambda value: json.dumps(value).encode()),
    NEAR.flatmap(
        lambda value: st.integers(0, len(json.dumps(value))).map(lambda end: json.dumps(value).encode()[:end])
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "location", "retry-after", "date", "x"]), hostile_text, max_size=3
)
#: Talkdesk's hook looks whether a redirect leads to its login.
SETTINGS = ConnectionSettings(
    "c", "https://api.example.com", extra={"token_url": "https://login.example.com/oauth/token"}
)
STATUSES = st.one_of(
    st.just(200), st.sampled_from([200, 204, 300, 302, 303, 307, 401, 404, 429, 500]), st.integers(100, 999)
)


def asked(hook: BatchJobHook, job_id: str, status: int, headers: dict[str, str], body: bytes) -> JobStatus:
    """Ask once; the reply is read as a transport reads it."""
    flow: Flow[JobStatus] = status_flow(hook, job_id)
    request: Request = next(flow)
    reader = BodyReader("", request.outline_for(status))
    try:
        any(reader.feed(body))
        read = reader.finish()
    except ValueError as problem:
        raise TransportError(str(problem), vendor=hook.conn_type) from None
    try:
        flow.send(Response(status, headers, read))
        # Talkdesk's reply may be the report itself: there is no file that would confirm it.
        flow.send(Response(404))
    except StopIteration as stop:
        result: JobStatus = stop.value
        return result
    raise AssertionError("the flow asks on")


@pytest.mark.parametrize("vendor", HOOKS)
@settings(max_examples=250, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(STATUSES, HEADERS, BODIES)
def test_no_reply_crashes_a_flow_or_turns_into_success(
    vendor: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    hook_class, job_id = HOOKS[vendor]
    hook = hook_class("c")
    hook.__dict__["settings"] = SETTINGS
    try:
        result = asked(hook, job_id, status, headers, body)
    except (ApiError, UnexpectedResponse, TransportError) as error:
        shown = str(error)
        # Our own words around a vendor's 500 characters.
        if len(shown) > 1024:
            raise
        return
    assert_storable(result.as_dict())
    if result.state is JobState.SUCCEEDED and not says_done_without_a_word(vendor, status, headers):
        assert 200 <= status < 300 or vendor == "talkdesk"
        words = {
            word.casefold() for word, state in hook_class.statuses.items() if state is JobState.SUCCEEDED
        }
        assert words & words_of(body)


#: The smallest reply of each.
REPLIES = {
    "ruler": lambda word: {"status": word},
    "talkdesk": lambda word: {"job": {"status": word}},
    "aftercare": lambda word: {"status": word},
    "questionpro": lambda word: {"response": {"status": word}},
}


@pytest.mark.parametrize("vendor", HOOKS)
@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_only_the_very_word_is_a_success(vendor: str, data: st.DataObject) -> None:
    hook_class, job_id = HOOKS[vendor]
    hook = hook_class("c")
    hook.__dict__["settings"] = SETTINGS
    good = {word.casefold() for word, state in hook_class.statuses.items() if state is JobState.SUCCEEDED}
    around = st.text("\0\x1b\u200b\ufeff\ud800 \n.", max_size=2)
    word = data.draw(around) + data.draw(st.sampled_from(sorted(good))) + data.draw(around)
    try:
        state = asked(hook, job_id, 200, {}, json.dumps(REPLIES[vendor](word)).encode()).state
    except UnexpectedResponse:
        state = None
    assert (state is JobState.SUCCEEDED) == (word.strip().casefold() in good)


def says_done_without_a_word(vendor: str, status: int, headers: dict[str, str]) -> bool:
    """Talkdesk says so by a redirect to the job's file."""
    redirects = (300, 301, 302, 303, 307, 308)
    return vendor == "talkdesk" and status in redirects and "/files/" in headers.get("location", "")


def words_of(body: bytes) -> set[str]:
    """Return the strings of a JSON text, which may be cut off behind them, as words are compared."""
    found = re.findall(rb'"(?:[^"\\]|\\.)*"', body)
    return {json.loads(text, strict=False).strip().casefold() for text in found}


WAIT = [field.name for field in fields(WaitSpec)]


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            ["conn_id", "job_ids", "version", *WAIT, "unknown", "args", "task_id"],
        ),
        anything,
    )
)
def test_a_trigger_of_whatever_was_stored_can_be_made_and_stored_again(arguments: dict[str, Any]) -> None:
    trigger = BatchJobTrigger(**arguments)
    _, kept = trigger.serialize()
    assert set(kept) <= {"conn_id", "job_ids", "version", *arguments}
    assert repr(BatchJobTrigger(**kept).serialize()[1]) == repr(kept)
