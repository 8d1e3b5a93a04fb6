"""Whatever a page shows as code does what the page says. README's DAG also runs in tests/real_airflow."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Connection, task

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.faults import replay
from tests.support.pages import PAGES, ROOT, Block, blocks, readme_dag

HOOKS = {hook.conn_type: hook for hook in (AftercareHook, QuestionProHook, RulerHook, TalkdeskHook)}
MANIFEST = {"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}
LANGUAGES = {"python", "sh"}
README = (ROOT / "README.md").read_text()


def each(language: str) -> pytest.MarkDecorator:
    found = list(blocks(language))
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


def test_there_is_no_code_in_a_language_that_is_not_tried() -> None:
    assert {block.language for block in blocks()} == LANGUAGES


@each("python")
def test_python_in_a_page_runs(block: Block, sandbox: Sandbox, tmp_path: Any) -> None:
    if block.text.startswith("{"):
        _is_a_result(ast.literal_eval(block.text))
        return
    sandbox.put_job("ruler", "site-1/job-1", script="status:200:partial", failed_rows=2)

    @task
    def submit_all() -> list[str]:
        return ["site-1/a", "site-1/b"]

    names: dict[str, Any] = {
        "BatchJobSensor": BatchJobSensor,
        "RulerHook": RulerHook,
        "sandbox": sandbox,
        "submit_all": submit_all,
    }
    with DAG("documents"):
        exec(compile(block.text, block.place, "exec"), names)  # noqa: S102 - our own pages


def _is_a_result(value: dict[str, Any]) -> None:
    """What a page shows as returned has the keys, and words, of what is returned."""
    if "sha256" in value:
        assert set(value) == MANIFEST
        return
    status = JobStatus.from_dict(value)
    assert status.as_dict() == value
    assert HOOKS[status.vendor].statuses[status.vendor_status] is JobState(value["state"])


@each("sh")
def test_a_command_of_a_page_is_one_that_there_is(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    project = re.search(r'^name = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project
    for line in block.text.splitlines():
        match shlex.split(line, comments=True):
            case []:
                pass
            case ["make", target, *_]:
                assert target in targets
            case ["pip", "install", requirement]:
                assert requirement == project[1]
            case ["export", setting]:
                _is_a_connection(*setting.split("=", 1))
            case ["python", "-m", "tests.faults.replay", *arguments]:
                assert replay.main(arguments) == 0
                assert "'state': 'succeeded'" in capsys.readouterr().out
            case other:
                pytest.fail(f"nobody tries {other}")


def _is_a_connection(name: str, value: str) -> None:
    connection = json.loads(value)
    conn_type = connection["conn_type"]
    assert name == f"AIRFLOW_CONN_{HOOKS[conn_type].default_conn_name.upper()}"
    hook = HOOKS[conn_type].from_connection(
        Connection(conn_id="from_a_page", **{**connection, "extra": json.dumps(connection.get("extra", {}))})
    )
    assert hook.auth
    assert list(hook.connection_warnings()) == []


def test_readmes_dag_can_stand_beside_the_examples() -> None:
    sources = [readme_dag(), *(path.read_text() for path in (ROOT / "example_dags").glob("*.py"))]
    ids = [re.findall(r'DAG\(\s*(?:dag_id=)?"(\w+)"', source) for source in sources]
    assert all(len(found) == 1 for found in ids)
    assert len({found[0] for found in ids}) == len(sources)


def test_readmes_dag_needs_no_date_of_its_run() -> None:
    # A run that is triggered by hand has no logical date, and so no ds, ts or data interval.
    assert not re.search(r"\b(ds|ts|logical_date|data_interval)\w*\b", readme_dag())


def test_each_promise_names_tests_that_there_are() -> None:
    promises = re.findall(r"^\| [^|]+ \| ([^|]*(?:`tests/|make chaos)[^|]*) \|$", README, re.MULTILINE)
    assert len(promises) > 15
    named = {name for shown in promises for name in re.findall(r"`(test[^`]+)`", shown)}
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there_are = {name for name in named if (ROOT / name).exists() or f"def {name}(" in tests}
    assert named - there_are == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    roots = (ROOT, ROOT / "airflow_provider_jobstatus")
    folders = {path.name for root in roots for path in root.iterdir() if path.is_dir()}
    named = re.findall(r"`((\w+)/[\w/]+(?:\.py|/)?)`", page.read_text())
    ours = [name for name, folder in named if folder in folders]
    assert [name for name in ours if not any((root / name).exists() for root in roots)] == []
