"""The main job on a real Airflow: each example DAG, each job once, really deferred, and no secret left."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_jobstatus._compat import trigger_can_write
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.waiting.progress import KEY
from dev import report, runs
from dev.api import TaskRun
from dev.runs import RunReport, TaskReport
from dev.stack import AirflowStack
from tests.support import canaries
from tests.support.canaries import Canary
from tests.support.pages import readme_dag

EXAMPLE_DAGS = Path(__file__).resolve().parents[2] / "example_dags"
#: README's DAG, and the job that it names.
README_DAG, README_JOB = "first_report", "calls/0f9c2a"
VENDORS = ("aftercare", "questionpro", "ruler", "talkdesk")

pytestmark = pytest.mark.airflow


@dataclass(frozen=True)
class Finished:
    """What is left to look at when Airflow is down."""

    home: Path
    results: Path
    sandbox: Sandbox
    runs: list[RunReport]
    #: Of the DAG that README shows; its job had ended when the run began.
    readme: RunReport
    #: What Airflow's page showed of each wait while it went on, and what it shows now.
    progress: dict[str, Any]
    final: dict[str, Any]
    logs: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Run every example DAG once and stop Airflow; the sandbox stays up."""
    folder = tmp_path_factory.mktemp("real airflow")
    results = folder / "results"
    results.mkdir()
    dags = shutil.copytree(EXAMPLE_DAGS, folder / "dags")
    (dags / "readme.py").write_text(readme_dag())
    with Sandbox() as sandbox:
        sandbox.put_job("talkdesk", README_JOB, script="status:200:done")
        env = {**sandbox.environment(), "JOBSTATUS_DEMO_OUTPUT": str(results), "HOME": str(results)}
        with AirflowStack(folder / "home", dags, env, paused=True) as stack:
            progress: dict[str, Any] = {}

            def look(snapshot: runs.Snapshot) -> None:
                for task in (task for tasks in snapshot.tasks.values() for task in tasks):
                    if task.state == "deferred" and (value := stack.xcom(task, KEY)):
                        progress[_key(task)] = value

            reports = runs.run_every_dag(stack, sandbox, watch=look)
            final = {_key(wait.task): stack.xcom(wait.task, KEY) for wait in _waits(reports)}
            logs = "\n\n".join(stack.logs(task.task) for run in reports for task in run.tasks)
        readme = next(run for run in reports if run.dag_id == README_DAG)
        reports.remove(readme)
        yield Finished(stack.home, results, sandbox, reports, readme, progress, final, logs)


def test_every_example_dag_ends_as_it_says_and_every_wait_is_really_deferred(finished: Finished) -> None:
    assert runs.shortcomings(finished.runs) == [], finished.logs


def test_readmes_dag_runs_as_it_is_printed_when_it_is_triggered_by_hand(finished: Finished) -> None:
    (manifest,) = report.manifests([finished.readme])

    assert finished.readme.state == "success", finished.logs
    assert Path(manifest["path"]) == finished.results / "calls" / f"{finished.readme.run_id}.csv"
    assert Path(manifest["path"]).stat().st_size == manifest["bytes"]


def test_each_wait_was_out_of_every_worker_for_most_of_it(finished: Finished) -> None:
    waits = _waits(finished.runs)

    # No trigger polls in its first five seconds, and each job takes eight at least.
    assert len(waits) == 7
    assert all(wait.deferred_seconds > 5 for wait in waits)
    assert all(wait.polls is not None and wait.polls >= 2 for wait in waits)


def test_the_progress_of_a_wait_is_shown(finished: Finished) -> None:
    shown_while_they_went_on = [
        wait for wait in _waits(finished.runs) if _key(wait.task) in finished.progress
    ]

    # A look each second may have missed a short deferral.
    assert bool(shown_while_they_went_on) == trigger_can_write()
    for wait in shown_while_they_went_on:
        shown, final = finished.progress[_key(wait.task)], finished.final[_key(wait.task)]
        job_id = wait.result["job_id"]
        assert (shown["ended"], shown["jobs"], list(shown["status"])) == (0, 1, [job_id])
        assert shown["status"][job_id]["state"] == "running"
        assert shown["status"][job_id]["vendor"] == wait.result["vendor"]
        # Of one of Ruler's jobs some rows are rejected, of another all.
        assert wait.result["state"] in ("succeeded", "partial", "failed")
        assert (final["ended"], final["status"][job_id]["state"]) == (1, wait.result["state"])


def test_a_failed_wait_leaves_its_result_and_the_next_task_fetches_what_was_rejected(
    finished: Finished,
) -> None:
    results = _results(finished, "ruler_failed_upload")
    pulled = Path(results["pull_rejected_rows"]["path"]).read_bytes()

    assert results["watch_upload"]["job_id"] == "demo-site/revenue-rejected"
    assert results["watch_upload"]["state"] == "failed"
    assert results["watch_upload"]["counts"]["failed"] == 40
    assert results["pull_rejected_rows"]["rows"] == 40
    assert results["pull_rejected_rows"]["sha256"] == hashlib.sha256(pulled).hexdigest()
    assert pulled == _failures_served_now(finished.sandbox, "revenue-rejected")


def test_each_job_was_submitted_once(finished: Finished) -> None:
    assert sorted(path for path, _ in _orders(finished.sandbox)) == [
        "/a/api/v2/micropanel/batches",
        "/api/v1/coding",
        "/data/reports/calls/jobs",
        "/data/reports/calls/jobs",  # README's
        "/data/reports/contacts/jobs",
        "/data/reports/user_status/jobs",
        "/v1/demo-site/revenue/batch",
    ]


def test_ruler_takes_what_it_can_and_the_rows_that_it_rejects_can_be_uploaded_again(
    finished: Finished,
) -> None:
    results = _results(finished, "ruler_revenue")
    uploaded, rejected = (
        list(csv.reader(Path(path).read_text().splitlines()))
        for path in (results["export_orders"], results["pull_rejected_rows"]["path"])
    )

    assert results["upload"]["counts"] == {"total": 6, "processed": 6, "succeeded": 4, "failed": 2}
    assert rejected == [uploaded[0], *uploaded[5:]]
    assert results["pull_rejected_rows"]["rows"] == 2


def test_three_reports_of_yesterday_stand_in_its_folder(finished: Finished) -> None:
    (run,) = [run for run in finished.runs if run.dag_id == "talkdesk_reports"]
    reports = {task.task.map_label: task.result for task in run.tasks if task.jobs}
    bodies = [body for path, body in _orders(finished.sandbox) if "/data/reports/" in path]
    readmes, *spans = sorted(tuple(json.loads(body)["timespan"].values()) for body in bodies)
    start, end = map(datetime.fromisoformat, spans[0])

    assert readmes[0].startswith("2026-01-15")
    assert spans == [spans[0]] * 3
    assert (end - start, start.time()) == (timedelta(days=1), time())
    assert sorted(reports) == ["calls", "contacts", "user_status"]
    for kind, result in reports.items():
        manifest = result["manifest"]
        assert result["job_id"].startswith(f"{kind}/")
        fetched = finished.results / "talkdesk" / start.date().isoformat() / f"{kind}.csv"
        assert manifest["path"] == str(fetched)
        assert (manifest["rows"], manifest["format"]) == (40, "csv")
        assert manifest["sha256"] == hashlib.sha256(fetched.read_bytes()).hexdigest()


def test_the_answers_that_were_coded_stand_in_a_parquet_file(finished: Finished) -> None:
    from pyarrow import parquet

    results = _results(finished, "aftercare_coding")
    table = parquet.read_table(results["fetch"]["path"])

    assert results["code"]["job_id"] == results["fetch"]["job_id"]
    assert table.num_rows == results["fetch"]["rows"]
    assert {row["answer"] for row in table.to_pylist()} == {row["answer"] for row in results["read_answers"]}


def test_people_are_mailed_once_and_their_answers_exported(finished: Finished) -> None:
    results = _results(finished, "questionpro_mailing")
    exported = Path(results["export"]["path"]).read_text().splitlines()

    assert finished.sandbox.settings("questionpro")["mails_sent"] == 1
    assert results["send"]["state"] == "succeeded"
    assert len({json.loads(line)["responseID"] for line in exported}) == results["export"]["rows"] == 25


def test_no_secret_is_in_any_file_of_airflow_nor_in_an_xcom(finished: Finished) -> None:
    secrets = _secrets(finished.sandbox)
    places = {str(path): path.read_bytes() for path in finished.home.rglob("*") if path.is_file()}
    places["XCom"] = json.dumps([task.result for run in finished.runs for task in run.tasks]).encode()
    assert any(name.endswith("airflow.db") for name in places)
    assert any("task_id=" in name for name in places)

    assert canaries.leaks(places, [Canary(secret, secret, secret) for secret in secrets]) == []


def _waits(reports: list[RunReport]) -> list[TaskReport]:
    return [task for run in reports for task in run.tasks if task.has_waited]


def _key(task: TaskRun) -> str:
    return f"{task.dag_id}.{task.task_id}.{task.map_index}"


def _results(finished: Finished, dag_id: str) -> dict[str, Any]:
    """Return what each task of a DAG returned."""
    (run,) = [run for run in finished.runs if run.dag_id == dag_id]
    return {task.task.task_id: task.result for task in run.tasks}


def _orders(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return path and body of each request that made something."""
    posts = [
        (request["target"], request["body"]) for request in sandbox.requests if request["method"] == "POST"
    ]
    return [(path, body) for path, body in posts if not path.endswith(("/login", "/token"))]


def _failures_served_now(sandbox: Sandbox, job: str) -> bytes:
    connection = sandbox.connection("ruler", token=True)
    reply = requests.get(
        f"{connection['host']}/demo-site/batch/{job}/failures",
        headers={"Authorization": f"Bearer {connection['password']}"},
        params={"format": "csv"},
        timeout=10,
    )
    reply.raise_for_status()
    return reply.content


def _secrets(sandbox: Sandbox) -> set[str]:
    """Return every secret that was used, and what the sandbox lets all its secrets begin with."""
    shown = [header for request in sandbox.requests for header in request["headers"]]
    used = {
        value.removeprefix("Bearer ").removeprefix("Basic ")
        for name, value in shown
        if name.lower() in ("authorization", "api-key", "x-aftercare-key")
    }
    assert len(used) >= 5, "two tokens, a Basic login and two keys should have been shown"
    passwords = {sandbox.connection(vendor)["password"] for vendor in VENDORS}
    prefixes = {f"sandbox-{kind}-" for kind in ("password", "token", "refresh", "signature")}
    return passwords | used | prefixes
