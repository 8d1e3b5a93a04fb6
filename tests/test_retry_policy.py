"""Which failures Airflow 3.3 retries by the policy, and that older ones pass over it."""

from __future__ import annotations

import json
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow.sdk import DAG, BaseOperator

from airflow_provider_jobstatus import exceptions
from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.exceptions import JobStatusError, task_error
from airflow_provider_jobstatus.retry_policy import JOBSTATUS_RETRY_POLICY, JobStatusRetryPolicy
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

HAS_POLICIES = tuple(map(int, version("apache-airflow-core").split(".")[:2])) >= (3, 3)
with_policies = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow below 3.3 has no retry policies")


def failed(name: str, **facts: Any) -> Any:
    """Return an error of the name, as a task or a hook raises it."""
    kind = getattr(exceptions, name)
    error = kind("x", vendor="ruler") if issubclass(kind, VendorError) else kind("x")
    for fact, value in facts.items():
        setattr(error, fact, value)
    return error


def decided(error: BaseException, **task: Any) -> tuple[str, float | None]:
    """Return what Airflow is told to do, and after how many seconds."""
    context: Any = {"task": SimpleNamespace(**task)}
    decision = JOBSTATUS_RETRY_POLICY.evaluate(error, 1, 3, context)
    return decision.action.value, decision.retry_delay and decision.retry_delay.total_seconds()


@with_policies
@pytest.mark.parametrize(
    ("error", "action"),
    [
        # Of tasks.
        (failed("BadSettings"), "fail"),
        (failed("VendorRefused"), "fail"),
        (failed("VendorRefused", retry_after=60.0), "fail"),
        (failed("JobFailed"), "fail"),
        (failed("JobCancelled"), "fail"),
        *(
            (failed(name), "default")
            for name in ("JobNotFinished", "PollingFailed", "UnknownJob", "BadTriggerEvent", "NotSubmitted")
        ),
        (failed("DownloadIncomplete"), "default"),
        (failed("DestinationError"), "default"),
        # Of hooks.
        (failed("SettingsError"), "fail"),
        (failed("AccessDenied"), "fail"),
        (failed("RequestRejected"), "fail"),
        (failed("RateLimited", spent=True, retry_after=60.0), "fail"),
        (failed("ServerError", repeatable=False, retry_after=60.0), "fail"),
        *((failed(name), "default") for name in ("TransportError", "ServerError", "NotFound", "RateLimited")),
        # Of others.
        (ValueError("x"), "default"),
        (KeyboardInterrupt(), "default"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_no_retry_can_mend_fails_at_once(error: BaseException, action: str) -> None:
    assert decided(error) == (action, None)
    without_context = JOBSTATUS_RETRY_POLICY.evaluate(error, 1, 3)
    assert without_context.action.value == action


@with_policies
@pytest.mark.parametrize("name", ["NotSubmitted", "DownloadIncomplete", "RateLimited", "ServerError"])
def test_the_vendors_pause_is_kept_with_a_little_added(name: str) -> None:
    delays = {decided(failed(name, retry_after=100.0)) for _ in range(20)}
    assert {action for action, _ in delays} == {"retry"}
    assert all(delay is not None and 100 <= delay <= 110 for _, delay in delays)
    assert len(delays) > 1


@with_policies
@pytest.mark.parametrize(("allowed", "action"), [(True, "default"), (False, "fail"), ("True", "fail")])
def test_a_failed_job_is_submitted_again_only_if_the_task_says_so(allowed: Any, action: str) -> None:
    for name in ("JobFailed", "JobCancelled"):
        assert decided(failed(name), resubmit_on_failure=allowed) == (action, None)
    assert decided(failed("VendorRefused"), resubmit_on_failure=allowed) == ("fail", None)


@pytest.mark.parametrize("kind", [exceptions.NotSubmitted, exceptions.DownloadIncomplete])
@pytest.mark.parametrize("name", ["RateLimited", "ServerError", "AccessDenied", "NotFound"])
def test_what_a_task_fails_with_keeps_the_vendors_pause(name: str, kind: type[JobStatusError]) -> None:
    assert task_error(failed(name, retry_after=90.0), otherwise=kind).retry_after == 90.0
    assert task_error(failed(name), otherwise=kind).retry_after is None


@with_policies
def test_airflow_itself_follows_the_policy_and_knows_the_dag_by_it() -> None:
    from airflow.sdk.execution_time.task_runner import _handle_current_task_failed
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("d", schedule=None, default_args={"retries": 3, "retry_policy": JOBSTATUS_RETRY_POLICY}) as dag:
        task = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="a/b")
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    assert stored["dag"]["tasks"][0]["__var"]["has_retry_policy"] is True
    server = SimpleNamespace(max_tries=3, should_retry=True)

    def outcome(error: BaseException) -> tuple[str, Any]:
        instance: Any = SimpleNamespace(
            task=task,
            try_number=1,
            stats_tags={},
            rendered_map_index=None,
            _ti_context_from_server=server,
            _failure_metrics_emitted=True,
        )
        message, state = _handle_current_task_failed(instance, error, structlog.get_logger(), {"task": task})  # type: ignore[arg-type, typeddict-item]
        return state.value, getattr(message, "retry_delay_seconds", None)

    assert outcome(failed("VendorRefused")) == ("failed", None)
    assert outcome(failed("PollingFailed")) == ("up_for_retry", None)
    state, delay = outcome(failed("NotSubmitted", retry_after=100.0))
    assert (state, 100 <= delay <= 110) == ("up_for_retry", True)


def test_in_default_args_the_policy_does_no_harm_on_any_airflow() -> None:
    with DAG("d", schedule=None, default_args={"retry_policy": JOBSTATUS_RETRY_POLICY}):
        task = BaseOperator(task_id="t")
    assert getattr(task, "retry_policy", None) is (JOBSTATUS_RETRY_POLICY if HAS_POLICIES else None)


def test_a_policy_is_all_of_its_kind() -> None:
    data = json.loads(json.dumps(JOBSTATUS_RETRY_POLICY.serialize()))
    assert data == {"__type": "airflow_provider_jobstatus.retry_policy.JobStatusRetryPolicy"}
    assert type(JobStatusRetryPolicy.deserialize(data)) is JobStatusRetryPolicy
