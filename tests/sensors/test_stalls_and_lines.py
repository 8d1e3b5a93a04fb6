"""A job that does not move, and what of a wait is worth a line in the log: a change, and no poll."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from structlog.testing import capture_logs

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import JobFailed, JobTimedOut, PollingFailed
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.waiting import concurrency
from airflow_provider_jobstatus.waiting.outcome import LogEntry, OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED, WaitLog
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

DOWN = {"http": 503}


def at(percent: int) -> dict[str, Any]:
    return {"status": "processing", "percentageProgress": percent}


def arguments(*ids: str, **options: Any) -> dict[str, Any]:
    return {"conn_id": "ruler_default", "job_id": list(ids) or "site/job", "poke_interval": 60, **options}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged: a level and a line each."""
    with capture_logs() as captured:
        yield captured


def levels(lines: list[Any], text: str = "") -> list[str]:
    """The levels of the lines that hold ``text``, and that are ours."""
    ours = [line for line in lines if "site/job" in line["event"] and "in the triggerer" not in line["event"]]
    return [line["log_level"] for line in ours if text in line["event"]]


@pytest.mark.parametrize("mode", MODES)
def test_a_stall_is_warned_of_once_and_again_after_a_movement(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    sandbox.put_job("ruler", "site/job", script=[at(1)] * 12 + [at(2)] * 12 + ["complete"])

    result = run(arguments(stalled_after=300), mode, fake_time)

    assert result["state"] == "succeeded"
    assert levels(lines, "nothing has changed") == ["warning"] * 2


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_moves_is_no_stall(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    script = [at(percent) for percent in range(20) for _ in range(4)]
    sandbox.put_job("ruler", "site/job", script=[*script, "complete"])

    run(arguments(stalled_after=300, if_stalled="fail"), mode, fake_time)

    assert levels(lines, "nothing has changed") == []


@pytest.mark.parametrize("mode", MODES)
def test_a_stall_may_fail_the_task_as_a_time_out(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=[at(1)])
    began = fake_time.now

    with pytest.raises(JobTimedOut, match="nothing has changed for"):
        run(arguments(stalled_after=600, if_stalled="fail"), mode, fake_time)

    # A triggerer counts from its own first look, an interval later.
    assert fake_time.now - began == pytest.approx(660 if mode == "deferred" else 600, abs=1)


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_a_stall(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=[at(1)])

    with pytest.raises(AirflowSkipException):
        run(arguments(stalled_after=600, if_stalled="fail", soft_fail=True), mode, fake_time)


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("jobs", [1, MAX_DETAILED])
def test_there_is_a_line_for_each_change_and_none_for_a_poll(
    jobs: int,
    mode: str,
    sandbox: Sandbox,
    fake_time: FakeTime,
    lines: list[Any],
    without_lists: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One question after the other, or time would pass for all while one is answered.
    monkeypatch.setattr(concurrency, "MAX_CALLS", 1)
    ids = [f"site/job-{number}" for number in range(jobs)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=[at(1)] * 20 + [DOWN] * 5 + [at(2)] * 20 + ["complete"])

    run(arguments(*ids), mode, fake_time)

    for job_id in ids:
        told = [line["log_level"] for line in lines if line["event"].startswith(f"{job_id}: ")]
        # It runs, at 1 %, whoever sees that first; is away; answers again; has ended.
        assert told == ["info", "warning", "info", "info"]


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_an_outage_of_many_jobs_is_a_few_lines(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any], without_lists: None
) -> None:
    ids = [f"site/job-{number}" for number in range(100)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=[DOWN])

    with pytest.raises(PollingFailed):
        run(arguments(*ids, poke_interval=600, max_outage=700), mode, fake_time)

    ours = [line for line in lines if "job" in line["event"]]
    # Of each kind of trouble the first, second, fourth, ...; each tenth end.
    assert 0 < len(ours) <= 30


@pytest.mark.parametrize("state", ["complete", "partialcomplete"])
def test_the_ends_of_many_jobs_are_summed_up(
    state: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    ids = [f"site/job-{number}" for number in range(100)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=[state])

    run(arguments(*ids), "poke", fake_time)

    ours = [line for line in lines if "job" in line["event"]]
    assert len(ours) == 11  # each tenth, and the sum
    assert ours[-1]["log_level"] == ("info" if state == "complete" else "warning")


class Log:
    """Counts lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def info(self, text: str, *values: object) -> None:
        self.lines.append(text % values if values else text)

    def warning(self, text: str, *values: object) -> None:
        self.info(text, *values)
        self.warnings.append(self.lines[-1])


def ended(job_id: str, state: JobState) -> WaitOutcome:
    return WaitOutcome(job_id, OutcomeKind.FINISHED, JobStatus(job_id, "ruler", state, state.value))


def test_of_many_jobs_only_warnings_are_told_and_those_alike_ever_more_seldom() -> None:
    log = Log()
    wait_log = WaitLog(SimpleNamespace(log=log), MAX_DETAILED + 1)

    for number in range(100):
        wait_log.tell(LogEntry(f"job-{number}", "changed", f"job-{number}: 4 %", warning=False))
        wait_log.tell(LogEntry(f"job-{number}", "away", f"job-{number}: 100 % away", warning=True))

    assert [line.split(":")[0] for line in log.lines] == [f"job-{n - 1}" for n in (1, 2, 4, 8, 16, 32, 64)]
    assert log.lines[-1] == "job-63: 100 % away (the like 64 times so far, of 17 jobs)"


def test_that_many_jobs_answer_again_is_told_as_seldom_as_that_they_did_not() -> None:
    log = Log()
    wait_log = WaitLog(SimpleNamespace(log=log), MAX_DETAILED + 1)

    for number in range(10):
        text = f"job-{number}: answers again"
        wait_log.tell(LogEntry(f"job-{number}", LogEntry.ANSWERS_AGAIN, text, warning=False))

    assert [line.split(":")[0] for line in log.lines] == ["job-0", "job-1", "job-3", "job-7"]


@pytest.mark.parametrize("jobs", [1, MAX_DETAILED, MAX_DETAILED + 1, 10_000])
def test_of_many_jobs_each_tenth_end_is_told(jobs: int) -> None:
    log = Log()
    wait_log = WaitLog(SimpleNamespace(log=log), jobs)

    for number in range(jobs):
        wait_log.ended(ended(f"job-{number}", JobState.SUCCEEDED))

    assert len(log.lines) == (10 if jobs > MAX_DETAILED else jobs if jobs > 1 else 0)
    if jobs > MAX_DETAILED:
        assert log.lines[-1] == f"{jobs} of {jobs} jobs have ended"


@pytest.mark.parametrize("jobs", [2, MAX_DETAILED])
def test_of_a_few_jobs_each_end_is_told_when_it_is_seen_and_a_bad_one_as_a_warning(jobs: int) -> None:
    log = Log()
    wait_log = WaitLog(SimpleNamespace(log=log), jobs)

    wait_log.ended(ended("a", JobState.SUCCEEDED))
    wait_log.ended(ended("b", JobState.FAILED))
    wait_log.ended(WaitOutcome("c", OutcomeKind.UNKNOWN_JOB, None, "c: nobody knows it"))
    wait_log.ended(ended("d", JobState.PARTIAL))

    assert log.lines == [
        "a: ended 'succeeded'",
        "b: ended 'failed'",
        "c: nobody knows it",
        "d: ended 'partial'",
    ]
    assert log.warnings == log.lines[1:3]


def test_of_many_jobs_bad_ends_are_told_ever_more_seldom() -> None:
    log = Log()
    wait_log = WaitLog(SimpleNamespace(log=log), 1000)

    for number in range(40):
        wait_log.ended(ended(f"job-{number}", JobState.CANCELLED))
        wait_log.ended(WaitOutcome(f"other-{number}", OutcomeKind.REFUSED, None, f"other-{number}: refused"))

    numbers = (1, 2, 4, 8, 16, 32)
    assert [line.split(":")[0] for line in log.warnings] == [
        f"{word}-{number - 1}" for number in numbers for word in ("job", "other")
    ]


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_a_job_that_fails_long_before_the_others_end_is_told_at_once(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    sandbox.put_job("ruler", "site/bad", script=[at(1), "failed"])
    sandbox.put_job("ruler", "site/late", script=[at(1)] * 20 + ["complete"])

    with pytest.raises(JobFailed):
        run(arguments("site/bad", "site/late"), mode, fake_time)

    told = [(line["log_level"], line["event"][:15]) for line in lines]
    assert told.count(("warning", "site/bad: ended")) == 1
    assert told.index(("warning", "site/bad: ended")) < told.index(("info", "site/late: ende"))


def signs(lines: list[Any]) -> list[str]:
    """The lines that say that a wait goes on."""
    return [line["event"] for line in lines if line["event"].startswith("Still waiting for ")]


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_wait_gives_a_sign_of_life_after_ten_minutes_and_then_hourly(
    mode: str, store: bool, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    sandbox.put_job("ruler", "site/job", script=[at(1)] * 30 + ["complete"])

    run(arguments(poke_interval=300), mode, fake_time, store=store)

    assert len(signs(lines)) == 3
    assert all("site/job: 'processing' (1 %" in line and "no errors" in line for line in signs(lines))


@pytest.mark.parametrize("mode", MODES)
def test_an_outage_gives_a_sign_each_ten_minutes(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    sandbox.put_job("ruler", "site/job", script=[at(1)] * 3 + [DOWN])

    with pytest.raises(PollingFailed):
        run(arguments(max_outage=3600), mode, fake_time)

    told = [line for line in signs(lines) if "no usable answer since" in line]
    # A worker says so when it looks, which in an outage is each five minutes at last.
    assert 4 <= len(told) <= 6
    errors = [int(line.partition(" errors in a row")[0].rpartition(" ")[2]) for line in told]
    assert errors == sorted(set(errors))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jobs", [9, MAX_DETAILED + 1])
def test_a_sign_of_many_jobs_is_one_line_also_where_a_list_is_read_for_them(
    jobs: int, mode: str, sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    ids = [f"site/job-{number}" for number in range(jobs)]
    for job_id in ids:
        # Far from its end for as long as the wait lasts.
        sandbox.put_job("ruler", job_id, script=[at(1)])

    with pytest.raises(JobTimedOut):
        run(arguments(*ids, poke_interval=300, timeout=75 * 60), mode, fake_time)

    # The first look of more than a few has a line, too; that of a deferred wait has another.
    first = [line for line in signs(lines) if f"{jobs} of {jobs} jobs: 0 done, {jobs} running" in line]
    assert len(first) == 2 + (jobs > MAX_DETAILED and mode != "deferred")


def test_a_sign_says_when_the_list_was_read_last_that_polls_for_a_wait(
    sandbox: Sandbox, fake_time: FakeTime, lines: list[Any]
) -> None:
    ids = [f"site/job-{number}" for number in range(9)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=[at(1)])
    began = fake_time.now

    with pytest.raises(JobTimedOut):
        run(arguments(*ids, timeout=20 * 60), "deferred", fake_time)

    (line,) = signs(lines)
    last = datetime.fromisoformat(line.partition("last poll ")[2].partition(";")[0]).timestamp()
    assert began + 530 < last <= began + 670
