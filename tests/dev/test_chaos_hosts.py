"""What is counted of waits in processes: which are unfinished, lost, wrong, or were another process's."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.codec import encode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from dev.chaos import jobs
from dev.chaos.host import UP
from dev.chaos.hosts import Host, Ledger, Report
from dev.chaos.processes import reported
from dev.chaos.rig import compare

TRIGGER = "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger"


def event(job: jobs.Job, state: JobState, outcome: OutcomeKind = OutcomeKind.FINISHED) -> dict[str, Any]:
    status = JobStatus(job.job_id, job.vendor, state, state.value)
    return encode([WaitOutcome(job.job_id, outcome, status)])


def test_a_wait_without_an_event_is_lost_and_one_with_another_end_is_wrong() -> None:
    right, other, refused, lost = (
        job for job in jobs.plan(5, 1, shortest=1, longest=2) if job.kind == "wait"
    )
    waits = {number: [job] for number, job in enumerate([right, other, refused, lost])}
    truth = {(job.vendor, job.job_id): "succeeded" for [job] in waits.values()}
    events = {
        0: event(right, JobState.SUCCEEDED),
        1: event(other, JobState.FAILED),
        2: event(refused, JobState.SUCCEEDED, OutcomeKind.REFUSED),
    }

    found_lost, found_wrong = compare([right, other, refused, lost], reported(events, waits), truth)

    assert [text.split(":")[0] for text in found_lost] == [lost.job_id]
    assert [text.split(":")[0] for text in found_wrong] == [other.job_id, refused.job_id]


def test_a_killed_host_leaves_what_it_had_not_reported_and_nothing_it_had_is_lost(tmp_path: Path) -> None:
    reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
    # A version that it does not know ends at once; the other one never asks.
    done = {"conn_id": "x", "job_ids": ["a"], "version": 99}
    wait = WaitSpec(poll_interval=60.0, started_at=0.0, first_poll_at=9e9, deadline_at=9.5e9)
    waiting = {"conn_id": "x", "job_ids": ["b"], **wait.as_json()}
    ledger = Ledger({1: (1, TRIGGER, done), 2: (2, TRIGGER, waiting)})
    host = Host("one", tmp_path, {}, reports)
    ledger.hand_over([1, 2], host)

    # A host also tells when it holds its first waits.
    report, up = sorted((reports.get(timeout=60) for _ in range(2)), key=lambda each: -each.number)
    host.kill()
    assert up.number == UP

    ledger.take(report)
    assert (report.host, report.number) == ("one", 1)
    assert report.payload["jobs"][0]["outcome"] == "bad_settings"
    assert reports.empty()
    assert ledger.unfinished("one") == ledger.unfinished() == [2]
    assert ledger.twice == []
    ledger.take(report)
    assert ledger.twice == [1]


def test_a_wait_that_was_given_to_another_in_between_is_told_apart(tmp_path: Path) -> None:
    ledger = Ledger({1: (1, TRIGGER, {"conn_id": "x", "job_ids": []})})
    reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
    host = Host("one", tmp_path, {}, reports)
    ledger.hand_over([1], host)
    host.kill()
    assert ledger.changed_hands(1, 0.0, 9e9)
    assert not ledger.changed_hands(1, 0.0, 1.0)
    assert 1e9 < ledger.held_since(1, 9e9) < 9e9
