"""The trigger: what it stores, when it asks, and that nothing ends it but its event."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.triggers.batch_job import VERSION, BatchJobTrigger, first_polls, pollers_for
from airflow_provider_jobstatus.waiting.codec import SLICE, decode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.modes import deferred, first_event, stored_and_loaded
from tests.support.times import FakeTime

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def trigger(time: FakeTime, *job_ids: str, **arguments: Any) -> BatchJobTrigger:
    return deferred(time.now, "ruler_default", *job_ids, **arguments)


def events(trigger: BatchJobTrigger) -> list[dict[str, Any]]:
    """Run a trigger to its event, over the store, and return what the event says of each job."""
    payload = asyncio.run(first_event(stored_and_loaded(trigger))).payload
    assert payload["version"] == VERSION
    ends = decode(json.loads(json.dumps(payload, allow_nan=False)), trigger.job_ids or [])
    return [end.as_dict() for end in ends]


def questions(sandbox: Sandbox) -> int:
    """How often the vendor was asked for a status."""
    return sum(request["target"].endswith("/status") for request in sandbox.requests)


@given(arguments=st.dictionaries(st.text(), JSON))
def test_its_constructor_takes_whatever_is_stored(arguments: dict[str, Any]) -> None:
    BatchJobTrigger(**arguments)


def test_its_arguments_are_plain_json_and_hold_no_secret(sandbox: Sandbox, fake_time: FakeTime) -> None:
    path, arguments = trigger(fake_time, "site/job").serialize()

    assert path == "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger"
    assert json.loads(json.dumps(arguments, allow_nan=False)) == arguments
    assert arguments["version"] == VERSION
    assert str(sandbox.connection("ruler")["password"]) not in json.dumps(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_outage": None, "exponential_backoff": True, "max_wait": 60.0},
        {"version": VERSION + 1, "newer": {"a": 1}},
    ],
)
def test_it_survives_being_stored_and_loaded(arguments: dict[str, Any], fake_time: FakeTime) -> None:
    before = trigger(fake_time, "a", "b", **arguments)

    assert stored_and_loaded(before).serialize() == before.serialize()
    assert before.serialize()[1].items() >= arguments.items()


def test_it_asks_first_at_first_poll_at_and_then_on_the_grid(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", "processing", "complete"])
    began = fake_time.now

    assert [event["outcome"] for event in events(trigger(fake_time, "site/job"))] == [OutcomeKind.FINISHED]
    assert [round(moment - began, 3) for moment in fake_time.woken] == [10, 20, 30]
    assert questions(sandbox) == 3


@pytest.mark.parametrize(("restart_after", "next_poll_after"), [(3, 10), (10.5, 20), (17, 20), (95, 100)])
def test_a_restart_postpones_no_poll(
    restart_after: float, next_poll_after: int, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])
    began = fake_time.now
    stored = trigger(fake_time, "site/job")
    fake_time.sleep(restart_after)

    events(stored)

    assert round(fake_time.woken[-1] - began, 3) == next_poll_after
    assert questions(sandbox) == 1


def test_a_restart_after_the_deadline_takes_one_last_look(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/done", script=["complete"])
    sandbox.put_job("ruler", "site/slow", script=["processing"])
    stored = trigger(fake_time, "site/done", "site/slow")
    fake_time.sleep(3600)

    assert [event["outcome"] for event in events(stored)] == [OutcomeKind.FINISHED, OutcomeKind.TIMED_OUT]
    assert len(sandbox.requests) == 1 + 2  # one login


def test_a_restart_does_not_move_the_deadline(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    began = fake_time.now
    stored = trigger(fake_time, "site/job")
    fake_time.sleep(597)

    assert [event["outcome"] for event in events(stored)] == [OutcomeKind.TIMED_OUT]
    assert fake_time.now - began == pytest.approx(600)


@pytest.mark.parametrize("change", ["rotated key", "away for a minute"])
def test_a_connection_that_changes_while_it_waits_does_not_end_the_wait(
    change: str, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", "processing", "complete"])
    began = fake_time.now
    if change == "away for a minute":
        monkeypatch.delenv("AIRFLOW_CONN_RULER_DEFAULT")

    def on_pause(_: float) -> None:
        if change == "rotated key" and questions(sandbox) == 1:
            sandbox.change_settings("ruler", password="another-password")
            sandbox.revoke_tokens("ruler")
        if questions(sandbox) == 1 or fake_time.now > began + 60:
            for name, value in sandbox.environment().items():
                monkeypatch.setenv(name, value)

    monkeypatch.setattr(fake_time, "on_pause", on_pause)

    assert [event["outcome"] for event in events(trigger(fake_time, "site/job"))] == [OutcomeKind.FINISHED]


def test_one_bad_id_does_not_hide_the_others(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/good", script=["processing", "complete"])
    sandbox.put_job("ruler", "site/wrong", script=[{"http": 400}])

    outcomes = {
        event["job_id"]: event["outcome"] for event in events(trigger(fake_time, "site/wrong", "site/good"))
    }

    assert outcomes == {"site/wrong": OutcomeKind.REFUSED, "site/good": OutcomeKind.FINISHED}


@pytest.mark.parametrize(
    "answer",
    [{"http": status} for status in (200, 204, 302, 400, 401, 403, 404, 410, 429, 500, 503, 599)]
    + [{"disconnect": True}, {"body": "{"}, "mystery"],
    ids=str,
)
def test_no_answer_makes_it_ask_without_a_pause(answer: Any, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=[answer])

    events(trigger(fake_time, "site/job", max_outage=None))

    # Ten minutes with a poll every ten seconds; half of that at least is the shortest pause after a failure.
    assert questions(sandbox) <= 121


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"version": VERSION + 1}, "install the same version everywhere"),
        ({"started_at": None}, "started_at is missing"),
    ],
)
def test_arguments_that_cannot_be_read_end_in_a_clear_event(
    arguments: dict[str, Any], problem: str, fake_time: FakeTime
) -> None:
    stored = trigger(fake_time, "site/job", **arguments).serialize()[1]
    kept = {name: value for name, value in stored.items() if value is not None}
    (event,) = events(BatchJobTrigger(**kept))

    assert event["outcome"] == OutcomeKind.BAD_SETTINGS
    assert problem in event["message"]


@pytest.mark.parametrize("odd", [{"poll_interval": 0}, {"deadline_at": "soon"}], ids=str)
def test_a_fault_of_ours_becomes_an_event_and_never_leaves_run(
    odd: dict[str, Any], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])

    (event,) = events(trigger(fake_time, "site/job", **odd))

    assert event["outcome"] == OutcomeKind.CRASHED


def test_cancelling_it_is_not_taken_for_a_fault(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    fake_time.limit = fake_time.now + 60

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(first_event(trigger(fake_time, "site/job")))


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\u202e", "a" * 100_000, "\x1b[31m\n"])
def test_hostile_text_of_a_vendor_reaches_the_event_harmless(
    text: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    reason = {"status": "failed", "failureReason": f"begin{text}end", "totalRows": 10**30}
    sandbox.put_job("ruler", "site/job", script=[reason])

    (event,) = events(trigger(fake_time, "site/job"))

    stored = json.dumps(event, ensure_ascii=False)
    stored.encode()
    assert event["status"]["detail"].startswith("begin")
    assert len(stored) < 4000
    assert not any(character in event["status"]["detail"] for character in "\x00\x1b\n\u202e")
    assert event["status"]["counts"]["total"] is None


def test_first_polls_lie_anywhere_in_an_interval_and_at_the_same_points_after_a_restart() -> None:
    def first(job_ids: list[str], interval: float = 60.0) -> list[float]:
        return first_polls(job_ids, 1000.0, 1000.0 + interval, interval)

    alone = [first([f"site/job-{number}"])[0] for number in range(1000)]
    # From five seconds after the deferral on, each half second: as many in each second, so that a restart
    # brings no burst.
    assert set(alone) == {1005.0 + half / 2 for half in range(1, 121)}
    assert max(Counter(ceil(point) for point in alone).values()) < 2 * 1000 / 60
    assert first(["site/job-1"]) == first(["site/job-1"])

    together = Counter(first([f"job-{number}" for number in range(100)]))
    assert (len(together), max(together.values())) == (100, 1)


@pytest.mark.parametrize(
    ("interval", "step"), [(0.3, 0.15), (1.0, 0.5), (5.0, 0.5), (10.0, 0.5), (60.2, 60.2 / 121)]
)
def test_all_polls_of_waits_with_one_interval_lie_on_the_same_few_points_of_the_clock(
    interval: float, step: float
) -> None:
    now = 1_767_225_600.0
    for number in range(200):
        began = now + number * 0.037
        (point,) = first_polls([f"job-{number}"], began - 3600, began, interval)
        assert began - interval <= point <= began + 1e-6
        plan = WaitSpec(interval, began - 3600, point, began + 86_400)
        for at in (point, plan.next_point(point), plan.next_point(point + 1000.3)):
            assert abs(at / step - round(at / step)) * step < 1e-5


def test_an_adaptive_wait_is_not_spread_beyond_its_first_look() -> None:
    spec = WaitSpec(600.0, 1000.0, 1005.0, 9000.0, adaptive=True)
    (poller,) = pollers_for(["site/job"], spec, 1000.0)
    assert poller.next_poll_at == 1005.0


def test_other_work_goes_on_while_the_event_of_many_jobs_is_made() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def beside(trigger: BatchJobTrigger) -> None:
        task = asyncio.create_task(others())
        await first_event(trigger)
        task.cancel()

    # Of a version that it does not know: it ends at once.
    asyncio.run(beside(BatchJobTrigger("x", [f"site/{n}" for n in range(10 * SLICE)], version=99)))

    assert turns > 10
