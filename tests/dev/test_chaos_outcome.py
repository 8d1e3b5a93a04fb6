"""A chaos run misses its bars when a wait is lost, wrong, doubled or ended by an error of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.sandbox.faults.random_faults import EarlyCall
from dev.chaos.jobs import Job
from dev.chaos.on_airflow import early_calls
from dev.chaos.outcome import Outcome, Record, judge, plan_of

PLAIN = Job("ruler", "site/1", "wait", "succeeded", {})
STRICT = Job("ruler", "site/2", "strict", "failed", {})
FIRST, SECOND = (Job("talkdesk", f"calls/{number}", "list", "succeeded", {}) for number in (3, 4))
JOBS = [PLAIN, STRICT, FIRST, SECOND]
TRUTH = {(job.vendor, job.job_id): job.state for job in JOBS}
WAIT, FAILS, LIST = ("wait_ruler", 0), ("strict_ruler", 0), ("list_talkdesk", -1)


def record(folder: Path, log: str = "JobFailed: site/2", **changes: Any) -> Record:
    """Return what Airflow writes down if all is well, with some of it changed."""
    place = folder / "dag_id=chaos" / "run_id=x" / "task_id=strict_ruler" / "map_index=0"
    place.mkdir(parents=True)
    (place / "attempt=1.log").write_text("BadThings: none")
    (place / "attempt=2.log").write_text(log)
    # What the triggerer wrote; Airflow's own mishap may make one more attempt, which tells nothing.
    (place / "attempt=2.log.trigger.6.log").write_text("trigger completed")
    (place / "attempt=3.log").write_text("")
    result = [{"job_id": job.job_id, "state": job.state} for job in (FIRST, SECOND)]
    states = {WAIT: ("success", 1), FAILS: ("failed", 2), LIST: ("success", 1)}
    results = {WAIT: {"job_id": "site/1", "state": "succeeded"}, LIST: json.dumps(result)}
    return Record(
        states | changes.get("states", {}), results, {WAIT: 1, LIST: 1} | changes.get("ends", {}), folder
    )


def test_the_tasks_of_the_dag_are_known_by_kind_and_vendor() -> None:
    assert plan_of(JOBS) == {
        "wait": {"ruler": ["site/1"]},
        "strict": {"ruler": ["site/2"]},
        "list": {"talkdesk": ["calls/3", "calls/4"]},
    }


def test_nothing_is_missed_when_each_wait_tells_what_is_true(tmp_path: Path) -> None:
    assert judge(record(tmp_path), JOBS, TRUTH) == Outcome(retried=1)


def test_a_wait_that_has_not_ended_or_has_no_result_is_lost(tmp_path: Path) -> None:
    deferred = judge(record(tmp_path / "1", states={WAIT: ("deferred", 1)}), JOBS, TRUTH)
    failed = judge(record(tmp_path / "2", states={LIST: ("failed", 4)}), JOBS, TRUTH)
    other = judge(record(tmp_path / "3", log="VendorRefused: no"), JOBS, TRUTH)
    assert [len(each.lost) for each in (deferred, failed, other)] == [1, 2, 1]
    assert other.our_errors == {"VendorRefused": 1}


def test_a_wait_that_tells_another_end_is_wrong(tmp_path: Path) -> None:
    skipped = judge(record(tmp_path / "1", states={WAIT: ("skipped", 1)}), JOBS, TRUTH)
    other = judge(record(tmp_path / "2", log="JobCancelled: site/2"), JOBS, TRUTH)
    assert [len(each.wrong) for each in (skipped, other)] == [1, 1]
    assert skipped.lost == other.lost == []


def test_a_task_that_was_completed_twice_is_told_of(tmp_path: Path) -> None:
    assert judge(record(tmp_path, ends={WAIT: 2}), JOBS, TRUTH).twice == ["wait_ruler[0]"]


def test_an_early_call_counts_unless_a_wait_has_two_owners_because_one_was_just_woken() -> None:
    calls: list[EarlyCall] = [
        {"path": "p", "told_at": at - 1, "due": at + 1, "at": at} for at in (99.0, 101.0)
    ]
    assert early_calls(calls, []) == (calls, 0)
    assert early_calls(calls, [100.0]) == (calls[:1], 1)
