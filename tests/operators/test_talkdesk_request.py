"""Reports are asked for once each, in windows, and found again by their names."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobFailed,
    SubmissionUnknown,
    VendorRefused,
)
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskRequestReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.modes import StateStore, TaskInstance, run_deferred
from tests.support.times import FakeTime

JOBS = "/data/reports/calls/jobs"
ARGUMENTS = {
    "task_id": "request",
    "report_type": "calls",
    "start": "2026-03-02T00:00:00+01:00",
    "end": datetime(2026, 3, 4, tzinfo=UTC),
}
LOST = {"after_work": True, "disconnect": True}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a worker, none of them really made."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


class Request:
    """
    A task that asks for reports, tried as often as need be.

    :param kept: whether Airflow keeps a task's state, as from 3.3 on.
    """

    def __init__(self, sandbox: Sandbox, *, kept: bool = True, **arguments: Any) -> None:
        self.sandbox = sandbox
        self.store = {"task_state_store": StateStore()} if kept else {}
        self.instance = TaskInstance()
        self.instance.max_tries = 3
        self._arguments = {**ARGUMENTS, "retries": 3, **arguments}
        self._old = set(self.jobs)

    @property
    def jobs(self) -> list[str]:
        """Ids of the jobs that there are since."""
        old: set[str] = getattr(self, "_old", set())
        return [
            job["id"] for job in self.sandbox.jobs() if job["vendor"] == "talkdesk" and job["id"] not in old
        ]

    @property
    def orders(self) -> list[dict[str, Any]]:
        posts = [
            each for each in self.sandbox.requests if each["method"] == "POST" and each["origin"] == "api"
        ]
        return [json.loads(each["body"]) for each in posts]

    def run(self, time: FakeTime | None = None, **given: Any) -> Any:
        """Run the try that is due, as Airflow does, and return what it returns or fails with."""
        context: Any = {"ti": self.instance, "params": {"type": "calls"}, **self.store, **given}
        operator = TalkdeskRequestReportOperator(**self._arguments)
        operator.render_template_fields(context)
        try:
            return operator.execute(context) if time is None else run_deferred(operator, context, time)
        except Exception as error:  # noqa: BLE001 - how a try ends is what tests look at
            return error
        finally:
            self.instance.try_number += 1


@pytest.mark.parametrize("execute_form", ["flat", "nested"])
def test_a_report_is_asked_for_and_its_id_returned(sandbox: Sandbox, execute_form: str) -> None:
    sandbox.change_settings("talkdesk", execute_form=execute_form)
    task = Request(sandbox, report_type="{{ params.type }}", timezone="Europe/Berlin", file_format="json")
    assert [task.run()] == task.jobs
    (order,) = task.orders
    name = order.pop("name")
    assert order == {
        "timezone": "Europe/Berlin",
        "format": "json",
        "timespan": {"from": "2026-03-01T23:00:00Z", "to": "2026-03-04T00:00:00Z"},
    }
    assert re.fullmatch(r"calls 2026-03-01T23:00:00Z jobstatus-[0-9a-f]{12} [0-9a-f]{18}", name)
    # A retry adopts it.
    assert [task.run()] == task.jobs


def test_an_interval_is_split_into_reports_of_names_of_their_own(sandbox: Sandbox) -> None:
    task = Request(sandbox, split_by=timedelta(days=1), name=" {{ params.type }} of March ")
    assert task.run() == task.jobs
    spans = [order["timespan"] for order in task.orders]
    assert [span["from"] for span in spans] == [f"2026-03-0{day}T23:00:00Z" for day in (1, 2, 3)]
    assert [span["to"] for span in spans] == [*(span["from"] for span in spans[1:]), "2026-03-04T00:00:00Z"]
    names = [order["name"] for order in task.orders]
    assert all(name.startswith("calls of March jobstatus-") for name in names)
    assert len({name.split()[-2] for name in names}) == len({name.split()[-1] for name in names}) == 3
    one = Request(sandbox, split_by=timedelta(days=9)).run()
    assert isinstance(one, list)
    assert len(one) == 1


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("split_by", [None, timedelta(days=2)])
def test_the_round_trip_is_one_task(
    split_by: timedelta | None, deferrable: bool, sandbox: Sandbox, tmp_path: Path, fake_time: FakeTime
) -> None:
    sandbox.change_settings("talkdesk", execute_seconds=0)
    task = Request(
        sandbox, split_by=split_by, wait=True, deferrable=deferrable, fetch=f"{tmp_path}/", poke_interval=5
    )
    result = task.run(fake_time)
    results = result if split_by else [result]
    assert [each["job_id"] for each in results] == task.jobs
    for each in results:
        manifest = each["manifest"]
        assert (each["state"], manifest["rows"], manifest["job_id"]) == ("succeeded", 40, each["job_id"])
        assert Path(manifest["path"]).stat().st_size == manifest["bytes"]
    assert len(list(tmp_path.iterdir())) == len(results) == (2 if split_by else 1)


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_event_of_an_outlet_says_what_was_fetched(
    deferrable: bool, sandbox: Sandbox, tmp_path: Path, fake_time: FakeTime
) -> None:
    sandbox.change_settings("talkdesk", execute_seconds=0)
    asset, events = Asset(f"file://{tmp_path}/calls.csv"), OutletEventAccessors()
    given = {"wait": True, "deferrable": deferrable, "fetch": asset, "outlets": [asset], "poke_interval": 5}
    manifest = Request(sandbox, **given).run(fake_time, outlet_events=events)["manifest"]
    assert manifest["path"].endswith(f"{tmp_path}/calls.csv")
    assert events[asset].extra == {name: manifest[name] for name in ("path", "rows", "bytes", "sha256")}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "answer", [LOST, {"after_work": True, "http": 503}, {"after_work": True, "http": 202, "body": "<html>"}]
)
def test_a_report_whose_reply_is_lost_is_found_by_its_name(
    answer: dict[str, Any], kept: bool, sandbox: Sandbox
) -> None:
    other = Request(sandbox)
    other.run()
    task = Request(sandbox, kept=kept)
    sandbox.put_answers(JOBS, [answer], method="POST")
    assert [task.run()] == task.jobs
    assert len(task.orders) == 2


@pytest.mark.parametrize(
    "listed",
    [{"http": 404}, {"body": {"_embedded": {"jobs": []}}}, {"body": {"_embedded": {"jobs": [{"id": "1"}]}}}],
)
def test_a_report_that_no_list_shows_is_unknown_and_not_asked_for_again(
    listed: dict[str, Any], sandbox: Sandbox
) -> None:
    task = Request(sandbox)
    sandbox.put_answers(JOBS, [LOST], method="POST")
    sandbox.put_answers(JOBS, [listed] * 30)
    error = task.run()
    assert type(error) is SubmissionUnknown
    assert task.orders[0]["name"] in str(error)
    assert type(task.run()) is SubmissionUnknown
    assert len(task.orders) == 1


def killed(task: Request) -> None:
    """Leave the record of a worker that was killed between request and reply."""
    for key, record in task.store["task_state_store"].items():
        task.store["task_state_store"][key] = {**record, "state": "intended", "job_id": None}


@pytest.mark.parametrize("kept", [True, False])
def test_a_try_after_a_kill_finds_the_reports_of_the_try_before(kept: bool, sandbox: Sandbox) -> None:
    task = Request(sandbox, kept=kept, split_by=timedelta(days=1))
    made = task.run()
    if kept:
        killed(task)
    assert task.run() == made == task.jobs
    assert len(task.orders) == 3


@pytest.mark.parametrize("kept", [True, False])
def test_each_clear_after_the_end_asks_anew(kept: bool, sandbox: Sandbox) -> None:
    sandbox.change_settings("talkdesk", execute_seconds=0)
    task = Request(sandbox, kept=kept)
    for number in range(1, 4):
        assert task.run() == task.jobs[-1]
        assert len(task.jobs) == number
        # As Airflow clears a task.
        task.instance.max_tries = task.instance.try_number - 1 + 3


def test_a_report_that_failed_is_asked_for_again_only_if_that_is_said(sandbox: Sandbox) -> None:
    for again, count in ((False, 1), (True, 2)):
        task = Request(
            sandbox, wait=True, deferrable=False, resubmit_on_failure=again, poke_interval=1, timeout=2
        )
        sandbox.put_answers(JOBS, [{}], method="POST")
        task.run()
        kind, _, job = task.jobs[0].partition("/")
        sandbox.put_job("talkdesk", f"{kind}/{job}", script=["failed"])
        assert type(task.run()) is JobFailed or again
        assert len(task.jobs) == count


def test_a_missing_scope_is_named_and_nothing_was_made(sandbox: Sandbox) -> None:
    sandbox.change_settings("talkdesk", scopes="data-reports:read")
    task = Request(sandbox)
    error = task.run()
    assert type(error) is VendorRefused
    assert "needs the scope data-reports:write" in str(error)
    assert task.jobs == []


DAY = "2026-03-02T00:00:00Z"
BAD: list[tuple[dict[str, Any], str]] = [
    ({"end": "2026-03-02T00:00:00+01:00"}, "no interval at all"),
    ({"start": DAY, "end": DAY}, "In Airflow 3 most runs"),
    ({"end": "2026-03-01T00:00:00Z"}, "earlier"),
    ({"start": "2026-03-02"}, "without an offset"),
    ({"start": None}, "start is None"),
    ({"split_by": timedelta(0)}, "split_by"),
    ({"split_by": 3600}, "split_by"),
    ({"split_by": timedelta(seconds=1)}, "more than 1,000"),
    ({"report_type": ""}, "report type is empty"),
    ({"report_type": "calls/x"}, "report_type"),
    ({"file_format": "xml"}, "file_format is 'xml'"),
    ({"timezone": "+01:00"}, "timezone is '\\+01:00'"),
    ({"name": "x" * 151}, "name is"),
    ({"fetch": "/data/x.csv"}, "fetch needs wait=True"),
]


@pytest.mark.parametrize(("arguments", "problem"), BAD)
def test_what_cannot_work_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadSettings, match=problem):
        TalkdeskRequestReportOperator(**{**ARGUMENTS, **arguments})


def rendered(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{{{{ '{value}' }}}}" if isinstance(value, str) else value for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        *(
            (given, problem)
            for given, problem in BAD
            if all(isinstance(each, str) for each in given.values())
        ),
        ({"timezone": "Europe/Berln"}, "timezone is 'Europe/Berln'"),
        ({"start": "None"}, "start is 'None'"),
    ],
)
def test_what_turns_out_not_to_work_is_refused_before_anything_is_sent(
    arguments: dict[str, Any], problem: str, sandbox: Sandbox
) -> None:
    if "fetch" in arguments:
        return
    error = Request(sandbox, split_by=timedelta(days=1), **rendered(arguments)).run()
    assert isinstance(error, BadSettings)
    assert re.search(problem, str(error))
    assert sandbox.requests == []


def test_one_file_for_several_reports_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    task = Request(sandbox, split_by=timedelta(days=1), wait=True, fetch=f"{tmp_path}/one.csv")
    assert isinstance(task.run(), BadSettings)
    assert sandbox.requests == []


def test_a_long_or_recent_interval_is_a_warning(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    Request(sandbox).run()
    assert "Talkdesk's pages" not in capfd.readouterr().out
    Request(sandbox, start="2025-01-01T00:00:00Z", end="2999-01-01T00:00:00Z").run()
    shown = capfd.readouterr().out
    assert "split_by=timedelta(days=31)" in shown
    assert "now or later" in shown
