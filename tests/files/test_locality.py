"""A file on one machine of many is worth a warning."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from airflow_provider_jobstatus.files.locality import local_caveat
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.sandbox import Sandbox


@pytest.fixture(autouse=True)
def no_executor_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__EXECUTOR", raising=False)


@pytest.mark.parametrize(
    ("configured", "own", "machines"),
    [
        ("LocalExecutor", None, "one"),
        ("CeleryExecutor", None, "many"),
        ("KubernetesExecutor", None, "many"),
        ("airflow.providers.edge3.executors.EdgeExecutor", None, "many"),
        ("LocalExecutor,CeleryExecutor", None, "one"),
        ("CeleryExecutor, LocalExecutor", None, "many"),
        ("LocalExecutor,CeleryExecutor", "CeleryExecutor", "many"),
        ("CeleryExecutor,LocalExecutor", "LocalExecutor", "one"),
        ("LocalExecutor,my.own.KubernetesExecutor:pods", "pods", "many"),
        ("CeleryExecutor,airflow.executors.local_executor.LocalExecutor:here", "here", "one"),
        ("LocalExecutor;team1=CeleryExecutor", None, "one"),
        ("LocalExecutor", "somewhere.ElseExecutor", "many"),
    ],
)
def test_a_local_destination_warns_where_the_next_task_may_run_elsewhere(
    configured: str, own: str | None, machines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", configured)

    for destination in ("/lake/rows.csv", "rows.csv", "file:///lake/rows.csv"):
        caveat = local_caveat(destination, own)
        assert (caveat is None) == (machines == "one")
    assert local_caveat("s3://lake/rows.csv", own) is None


def test_an_operator_warns_in_its_log(
    sandbox: Sandbox, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    sandbox.put_job("ruler", "site/job", script=["partialcomplete"])

    with capture_logs() as log:
        RulerDownloadRevenueFailuresOperator(
            task_id="fetch", job_id="site/job", destination=f"{tmp_path}/rows.csv"
        ).execute({})

    warnings = [entry["event"] for entry in log if entry["log_level"] == "warning"]
    assert local_caveat(f"{tmp_path}/rows.csv", None) in warnings
