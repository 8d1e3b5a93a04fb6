"""Answers are submitted to Aftercare once each, waited for and fetched."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import BadSettings, NotSubmitted, SubmissionUnknown, VendorRefused
from airflow_provider_jobstatus.operators.aftercare import AftercareSubmitCodingOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.hooks.test_aftercare_submit import BODIES, CODING, SECRET
from tests.support.modes import StateStore, TaskInstance, run_deferred
from tests.support.times import FakeTime

ROWS = [
    {
        "question": "Why?",
        "responseIdentifier": number,
        "answer": "Because it is by far the best in the whole town.",
    }
    for number in range(3)
]
LOST = {"after_work": True, "disconnect": True}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a worker, none of them really made."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


class Submission:
    """A task that submits, tried as often as need be."""

    def __init__(self, **arguments: Any) -> None:
        self._arguments = {"task_id": "submit", "retries": 3, **arguments}
        self.instance = TaskInstance()
        self.instance.max_tries = 3
        self._store = StateStore()

    def run(self, time: FakeTime | None = None) -> Any:
        """Run the try that is due, as Airflow does, and return what it returns or fails with."""
        context: Any = {"ti": self.instance, "params": {"kind": "coding"}, "task_state_store": self._store}
        operator = AftercareSubmitCodingOperator(**self._arguments)
        operator.render_template_fields(context)
        try:
            return operator.execute(context) if time is None else run_deferred(operator, context, time)
        except Exception as error:  # noqa: BLE001
            return error
        finally:
            self.instance.try_number += 1


def jobs(sandbox: Sandbox) -> int:
    created = sandbox.settings("aftercare")["jobs_created"]
    assert isinstance(created, int)
    return created


def orders(sandbox: Sandbox) -> list[Any]:
    return [json.loads(each["body"]) for each in sandbox.requests if each["method"] == "POST"]


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_is_submitted_and_the_sensors_job_id_returned(sandbox: Sandbox, kind: str) -> None:
    job_id = Submission(body=BODIES[kind], kind=kind).run()
    assert job_id in {job["id"] for job in sandbox.jobs() if job["vendor"] == "aftercare"}
    assert job_id.startswith("data-quality/") == (kind == "data-quality")
    assert orders(sandbox) == [BODIES[kind]]


@pytest.mark.parametrize("form", ["a file", "a file's object", "a URI", "a text"])
def test_a_body_may_be_json_or_a_file_of_it(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    path = tmp_path / "order.json"
    path.write_text(json.dumps(CODING))
    body = {"a file": str(path), "a file's object": path, "a URI": f"file://{path}"}.get(
        form, path.read_text()
    )
    assert isinstance(Submission(body=body).run(), str)
    assert orders(sandbox) == [CODING]


def test_a_table_is_submitted_waited_for_and_fetched_in_one_task(
    sandbox: Sandbox, tmp_path: Path, fake_time: FakeTime
) -> None:
    place = tmp_path / "coded.csv"
    task = Submission(
        rows=ROWS, survey_identifier="CSAT", wait=True, fetch=str(place), deferrable=True, poke_interval=5
    )
    result = task.run(fake_time)
    assert (result["state"], result["manifest"]["path"], result["manifest"]["format"]) == (
        "succeeded",
        str(place),
        "csv",
    )
    with place.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["responseIdentifier"] for row in rows} == {"0", "1", "2"}
    assert len(rows) == result["manifest"]["rows"]
    assert jobs(sandbox) == 1


@pytest.mark.parametrize(
    ("ending", "file_format"),
    [(".parquet", "parquet"), (".PARQUET", "parquet"), (".json", "ndjson"), ("/", "ndjson")],
)
def test_the_ending_of_what_is_fetched_says_its_format(
    sandbox: Sandbox, tmp_path: Path, ending: str, file_format: str
) -> None:
    sandbox.change_settings("aftercare", create_queued_seconds=0, create_processing_seconds=0)
    result = Submission(body=CODING, wait=True, fetch=f"{tmp_path}/x{ending}").run()
    assert result["manifest"]["format"] == file_format


def test_no_job_is_submitted_whose_results_could_not_be_written(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert type(Submission(body=CODING, wait=True, fetch=f"{tmp_path}/x.parquet").run()) is BadSettings
    assert jobs(sandbox) == 0


def test_a_reply_that_is_lost_is_never_followed_by_a_second_job(sandbox: Sandbox) -> None:
    sandbox.put_answers("/api/v1/coding", [LOST], method="POST")
    task = Submission(body=CODING)
    found = [task.run() for _ in range(3)]
    assert [type(error) for error in found] == [SubmissionUnknown] * 3
    assert jobs(sandbox) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "either body"),
        ({"body": {}, "rows": []}, "either body"),
        ({"rows": ROWS}, "survey_identifier"),
        ({"body": CODING, "survey_identifier": "x"}, "survey_identifier"),
        ({"body": CODING, "kind": "codes"}, "kind is 'codes'"),
        ({"rows": ROWS, "survey_identifier": "x", "kind": "data-quality"}, "order of coding"),
        ({"rows": ROWS, "survey_identifier": " "}, "surveyIdentifier is empty"),
        ({"rows": [*ROWS, ROWS[0]], "survey_identifier": "x"}, r"rows\[3\].responseIdentifier stands twice"),
        ({"body": CODING | {"surveyIdentifier": None}}, "surveyIdentifier is missing"),
        ({"body": "{{ params }}"}, "filter tojson"),
        ({"body": "/nowhere/"}, "folder"),
        ({"body": 5}, "not an object"),
    ],
)
def test_what_cannot_be_an_order_sends_nothing(
    sandbox: Sandbox, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadSettings, match=says):
        raise Submission(**arguments).run()
    assert sandbox.requests == []


def test_a_file_that_cannot_be_read_may_be_tried_again(sandbox: Sandbox, tmp_path: Path) -> None:
    task = Submission(body=str(tmp_path / "order.json"))
    assert isinstance(task.run(), NotSubmitted)
    (tmp_path / "order.json").write_text(json.dumps(CODING))
    assert isinstance(task.run(), str)
    assert jobs(sandbox) == 1


def test_what_aftercare_rejects_makes_no_job(sandbox: Sandbox) -> None:
    sandbox.change_settings("aftercare", api_key="another")
    assert isinstance(Submission(body=CODING).run(), VendorRefused)
    assert jobs(sandbox) == 0


@pytest.mark.parametrize(
    "given", [{"body": CODING}, {"rows": [ROWS[0] | {"answer": SECRET}], "survey_identifier": "x"}]
)
def test_answers_do_not_stand_on_airflows_page(given: dict[str, Any]) -> None:
    operator = AftercareSubmitCodingOperator(task_id="submit", **given)
    operator.render_template_fields({"params": {}})  # type: ignore[arg-type]
    shown = [str(getattr(operator, name)) for name in operator.template_fields]
    assert SECRET not in "".join(shown)
    assert {"3 keys", "1 row"} & set(shown)
