"""Shows on Airflow's page how far a deferred wait has come, from the worker: at its beginning and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus._compat import trigger_can_write
from airflow_provider_jobstatus.waiting.outcome import WaitOutcome
from airflow_provider_jobstatus.waiting.progress import KEY, final_summary

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def show(task: Any, value: dict[str, Any], log: Logger) -> None:
    """
    Show how far the jobs have come, if the triggerer can go on with it.

    :param task: Airflow's task instance, or None.
    """
    from airflow.providers.common.compat.sdk import XCom
    from airflow.sdk.bases.xcom import BaseXCom

    # A custom backend may raise anything, and no task must fail because of this.
    if task is None or XCom is not BaseXCom or not trigger_can_write():
        return
    try:
        task.xcom_push(KEY, value)
    except (AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
        log.info("The progress cannot be shown now: %s", type(error).__name__)


def show_final(task: Any, events: Sequence[WaitOutcome], now: float, log: Logger) -> None:
    """Show how far the jobs had come when the wait in the triggerer was over."""
    show(task, final_summary(events, now), log)
