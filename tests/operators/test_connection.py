"""Which connection a task uses: the name that it gives, one of ``default_args``, or the vendor's default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup

from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.operators.aftercare import AftercareDownloadCodingResultsOperator
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox

#: Each operator, its hook, the vendor's own name for a connection, and a job.
OPERATORS = [
    (AftercareDownloadCodingResultsOperator, AftercareHook, "aftercare_conn_id", "job"),
    (RulerDownloadRevenueFailuresOperator, RulerHook, "ruler_conn_id", "site/job"),
    (TalkdeskDownloadReportOperator, TalkdeskHook, "talkdesk_conn_id", "calls/job"),
]
CONNECTIONS = {
    "my_db": {"conn_type": "postgres"},
    **{
        f"{name}_{number}": {"conn_type": name, "login": "me", "password": "secret-1"}
        for name in ("aftercare", "ruler", "talkdesk")
        for number in (1, 2, "default")
    },
}


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, fields in CONNECTIONS.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def used(
    operator: type[Any], hook: type[BatchJobHook], job_id: str, given: dict[str, Any], **dag: Any
) -> str:
    """Return the id of the connection that a task uses when it runs."""
    with DAG("d", schedule=None, **dag):
        task = operator(task_id="t", job_id=job_id, destination="/x/", **given)
    found: str = task.vendor_hook(hook).conn_id
    return found


@pytest.mark.parametrize(("operator", "hook", "own", "job_id"), OPERATORS)
@pytest.mark.parametrize(
    ("given", "default_args", "expected"),
    [
        # Named by the task.
        ({"conn_id": "V_1"}, {}, "V_1"),
        ({"own": "V_1"}, {}, "V_1"),
        ({"conn_id": "V_1", "own": "V_1"}, {}, "V_1"),
        ({}, {}, "V_default"),
        # The task's own name counts more than what default_args say.
        ({"conn_id": "V_1"}, {"conn_id": "my_db"}, "V_1"),
        ({"conn_id": "V_1"}, {"conn_id": "V_2", "own": "V_2"}, "V_1"),
        ({"conn_id": "V_1"}, {"own": "V_2"}, "V_1"),
        ({"own": "V_1"}, {"conn_id": "my_db"}, "V_1"),
        ({"own": "V_1"}, {"conn_id": "V_2"}, "V_1"),
        ({"own": "V_default"}, {"conn_id": "my_db"}, "V_default"),
        # Of default_args, what is of the vendor's type.
        ({}, {"conn_id": "V_1"}, "V_1"),
        ({}, {"own": "V_1"}, "V_1"),
        ({}, {"conn_id": "my_db", "own": "V_1"}, "V_1"),
        ({}, {"conn_id": "nowhere", "own": "V_1"}, "V_1"),
        ({}, {"conn_id": "V_1", "own": "V_1"}, "V_1"),
        ({"default_args": {"conn_id": "V_1"}}, {"conn_id": "my_db"}, "V_1"),
    ],
)
def test_a_task_uses_the_connection_that_was_named_for_it(
    operator: type[Any],
    hook: type[BatchJobHook],
    own: str,
    job_id: str,
    given: dict[str, Any],
    default_args: dict[str, Any],
    expected: str,
) -> None:
    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {own if key == "own" else key: named(item) for key, item in value.items()}
        return value.replace("V_", f"{hook.conn_type}_")

    found = used(operator, hook, job_id, named(given), default_args=named(default_args))
    assert found == named(expected)


@pytest.mark.parametrize(("operator", "hook", "own", "job_id"), OPERATORS)
def test_two_connections_given_to_one_task_are_refused_at_parse(
    operator: type[Any], hook: type[BatchJobHook], own: str, job_id: str
) -> None:
    with pytest.raises(
        BadSettings, match=f"conn_id is 'a' and {own} 'b'; both name the connection, give one"
    ):
        operator(task_id="t", job_id=job_id, destination="/x/", conn_id="a", **{own: "b"})
    with (
        pytest.raises(BadSettings, match="both name the connection"),
        DAG("d", schedule=None, default_args={"conn_id": "c"}),
    ):
        operator(task_id="t", job_id=job_id, destination="/x/", conn_id="{{ x }}", **{own: "b"})


@pytest.mark.parametrize(("operator", "hook", "own", "job_id"), OPERATORS)
@pytest.mark.parametrize("name", ["conn_id", "own"])
@pytest.mark.parametrize("value", [None, "", " ", 7])
def test_an_id_that_is_none_is_refused_and_no_default_takes_its_place(
    operator: type[Any], hook: type[BatchJobHook], own: str, job_id: str, name: str, value: object
) -> None:
    key = own if name == "own" else name
    with pytest.raises(BadSettings, match=f"{key} is .*; give the id of an Airflow connection"):
        operator(task_id="t", job_id=job_id, destination="/x/", **{key: value})


@pytest.mark.parametrize(("operator", "hook", "own", "job_id"), OPERATORS)
@pytest.mark.parametrize(
    ("conn_id", "problem"),
    [
        ("my_db", "is of type 'postgres', not"),
        ("nowhere", "is no connection of type"),
        (None, "is no connection"),
    ],
)
def test_a_dag_of_other_tasks_parses_and_no_account_is_used_that_was_not_named(
    operator: type[Any], hook: type[BatchJobHook], own: str, job_id: str, conn_id: str | None, problem: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        used(operator, hook, job_id, {}, default_args={"conn_id": conn_id})
    assert f"conn_id {conn_id!r} of default_args {problem}" in str(caught.value)
    assert f"give the task itself a conn_id or {own}" in str(caught.value)


@pytest.mark.parametrize(("operator", "hook", "own", "job_id"), OPERATORS)
def test_two_accounts_of_default_args_are_not_chosen_between(
    operator: type[Any], hook: type[BatchJobHook], own: str, job_id: str
) -> None:
    one, two = f"{hook.conn_type}_1", f"{hook.conn_type}_2"
    with pytest.raises(BadSettings, match=f"default_args give conn_id '{one}' and {own} '{two}'"):
        used(operator, hook, job_id, {}, default_args={"conn_id": one, own: two})


def test_a_group_of_tasks_has_default_args_too() -> None:
    with (
        DAG("d", schedule=None, default_args={"conn_id": "my_db"}),
        TaskGroup("g", default_args={"conn_id": "talkdesk_2"}),
    ):
        task = TalkdeskDownloadReportOperator(task_id="t", job_id="calls/job", destination="/x/")
    assert task.vendor_hook(TalkdeskHook).conn_id == "talkdesk_2"


class OfAcme(TalkdeskDownloadReportOperator):
    """A user's own operator, which names the connection itself."""

    def __init__(self, *, conn_id: str = "talkdesk_1", **kwargs: Any) -> None:
        super().__init__(conn_id=conn_id, **kwargs)


@pytest.mark.parametrize(
    ("given", "default_args", "expected"),
    [
        ({}, {}, "talkdesk_1"),
        ({"conn_id": "talkdesk_2"}, {"conn_id": "my_db"}, "talkdesk_2"),
        ({}, {"conn_id": "talkdesk_2"}, "talkdesk_2"),
        ({}, {"talkdesk_conn_id": "talkdesk_2"}, "talkdesk_1"),
    ],
)
def test_a_subclass_may_name_the_connection(
    given: dict[str, Any], default_args: dict[str, Any], expected: str
) -> None:
    assert used(OfAcme, TalkdeskHook, "calls/job", given, default_args=default_args) == expected


def test_a_mapped_task_uses_what_it_gives_and_what_default_args_give_alike() -> None:
    for given, default_args, expected in (
        ({"conn_id": "talkdesk_1"}, {"conn_id": "my_db"}, "talkdesk_1"),
        ({"talkdesk_conn_id": "talkdesk_1"}, {"conn_id": "my_db"}, "talkdesk_1"),
        ({}, {"conn_id": "talkdesk_2"}, "talkdesk_2"),
    ):
        with DAG("d", schedule=None, default_args=default_args):
            mapped = TalkdeskDownloadReportOperator.partial(task_id="t", destination="/x/", **given)
            task = mapped.expand(job_id=["calls/a", "calls/b"]).unmap({"job_id": "calls/a"})
        assert task.vendor_hook(TalkdeskHook).conn_id == expected


def test_both_names_are_rendered() -> None:
    with DAG("d", schedule=None):
        task = TalkdeskDownloadReportOperator(
            task_id="t", job_id="calls/job", destination="/x/", conn_id="talkdesk_{{ 1 + 1 }}"
        )
    task.render_template_fields({})
    assert (task.conn_id, task.talkdesk_conn_id) == ("talkdesk_2", "talkdesk_2")


def test_a_task_runs_with_a_connection_of_default_args(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put_job("ruler", "site-1/job-1", pending_seconds=0, processing_seconds=0)
    with DAG("d", schedule=None, default_args={"conn_id": "ruler_default"}):
        task = RulerDownloadRevenueFailuresOperator(
            task_id="t", job_id="site-1/job-1", destination=str(tmp_path / "rows.csv")
        )
    assert task.execute({})["rows"] == 0
