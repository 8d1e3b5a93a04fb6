"""What the demo calls a success, and how it shows what arrived."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_jobstatus.sandbox.vendor import JobView
from dev import report, runs
from dev.api import Deferral, TaskRun

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DEFERRED = Deferral(NOON, NOON + timedelta(seconds=20))
NEVER_RESUMED = Deferral(NOON, None)
JOB = {"job_id": "site/job", "state": "partial"}
MANIFEST = {
    "job_id": "site/job",
    "rows": 1,
    "bytes": 50,
    "format": "csv",
    "path": "x",
    "verified_by": "length",
}


def _run(
    state: str = "success",
    operator: str = runs.SENSOR,
    deferrals: list[Deferral] | None = None,
    result: object = None,
) -> runs.RunReport:
    task = TaskRun("dag", "run", "wait", -1, operator, state, 1, NOON)
    stays = [DEFERRED] if deferrals is None else deferrals
    return runs.RunReport("dag", "run", state, [runs.TaskReport(task, stays, result, 3)])


def test_a_run_whose_sensor_was_deferred_has_no_shortcomings() -> None:
    assert runs.shortcomings([_run()]) == []


@pytest.mark.parametrize("deferrals", [[], [NEVER_RESUMED]])
@pytest.mark.parametrize(("operator", "result"), [(runs.SENSOR, None), ("Submit", JOB), ("Submit", [JOB])])
def test_a_wait_that_was_not_really_deferred_is_a_shortcoming(
    deferrals: list[Deferral], operator: str, result: object
) -> None:
    assert runs.shortcomings([_run("success", operator, deferrals, result)]) == [
        "Task dag.wait ended without having been deferred."
    ]


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed", "deferred"])
def test_a_task_that_did_not_succeed_is_a_shortcoming(state: str) -> None:
    assert f"Task dag.wait ended as {state}." in runs.shortcomings([_run(state)])


@pytest.mark.parametrize("result", [None, "site/job", MANIFEST])
def test_a_run_without_any_wait_is_a_shortcoming(result: object) -> None:
    assert len(runs.shortcomings([_run(operator="Submit", result=result)])) == 1


@pytest.mark.parametrize("wrapped", ["alone", "in a list", "in the result of a wait", "in one of several"])
def test_the_table_of_files_names_rows_and_bytes_of_what_arrived(tmp_path: Path, wrapped: str) -> None:
    file = tmp_path / "rejected.csv"
    file.write_text("Row,Note,ErrorMessage\r\n1,,\x1b[2JValue is required.\r\n")
    errors = tmp_path / "errors.json"
    errors.write_text('{"errors": [{"rows": 1, "message": "Value \\u001b[2Jis required."}]}')
    manifest = {**MANIFEST, "path": str(file), "errors_path": str(errors)}
    job = {**JOB, "manifest": manifest}
    results = {"alone": manifest, "in a list": [manifest], "in the result of a wait": job}
    finished = [_run(result=results.get(wrapped, [JOB, job]))]

    assert report.files(finished).splitlines()[1:] == [f"{file}  1     50     length"]
    # Without the empty column, and with nothing that steers a terminal.
    assert report.rejected_rows(finished).splitlines()[1:] == [
        "Row  ErrorMessage",
        "1     [2JValue is required.",
        "1 x Value  [2Jis required.",
    ]


def test_in_a_pipe_progress_is_plain_lines_without_repetition() -> None:
    out = io.StringIO()
    progress = report.Progress(out)

    for percent in (41, 42, 58):
        progress.show(["dag.wait: deferred", f"  job ruler site/job: processing, {percent} %, 2 polls"])

    lines = [line.split(" s  ", 1)[1] for line in out.getvalue().splitlines()]
    assert lines == [
        "dag.wait: deferred",
        "  job ruler site/job: processing, 41 %, 2 polls",
        "  job ruler site/job: processing, 58 %, 2 polls",
    ]


def test_a_conclusion_says_of_failed_tasks_that_they_were_meant_to_fail() -> None:
    assert "meant to fail" not in report.conclusion(0, 7)
    assert "should (the failed one was meant to fail), and every wait (7)" in report.conclusion(1, 7)
    assert "the 2 failed ones were meant to fail" in report.conclusion(2, 7)


@pytest.mark.parametrize(("polls", "text"), [(1, "done, 1 poll"), (2, "done, 2 polls")])
def test_polls_are_counted_in_words(polls: int, text: str) -> None:
    job = JobView(vendor="ruler", id="a", status="done", progress=None, polls=polls, last_poll_at=None)
    assert report.snapshot_lines(runs.Snapshot({}, [job])) == [f"  job ruler a: {text}"]
