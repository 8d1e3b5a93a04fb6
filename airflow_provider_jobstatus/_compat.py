"""What differs between Airflow 3.1 and 3.3 and common-compat does not cover."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferralError, TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[no-redef]
        AirflowRescheduleException,
        TaskDeferralError,
        TaskDeferralTimeout,
    )

__all__ = [
    "AirflowRescheduleException",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "amask_secret",
    "counts_deferred_tasks",
    "hook_registry",
    "trigger_can_write",
]


def hook_registry() -> Any:
    """Return Airflow's registry of connection types: type to an object with ``hook_class_name``."""
    try:
        from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    except ImportError:  # Airflow 3.1
        from airflow.providers_manager import ProvidersManager

        return ProvidersManager().hooks  # type: ignore[no-untyped-call]
    return ProvidersManagerTaskRuntime().hooks  # type: ignore[no-untyped-call]


async def amask_secret(secret: str) -> None:
    """Hide ``secret`` in the logs, from within an event loop."""
    try:
        from airflow.sdk.log import amask_secret as mask
    except ImportError:
        # Airflow 3.1 and 3.2 have only a form that talks to the supervisor, which can deadlock a triggerer.
        # Its logs are masked in this very process, so that telling this process is enough.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(secret)
    else:
        await mask(secret)


def trigger_can_write() -> bool:
    """
    Return whether a trigger may write an XCom.

    Before Airflow 3.2.2, a call to Airflow from a thread of the triggerer may be answered with another one's
    reply.
    """
    return _core_version() >= (3, 2, 2)


def counts_deferred_tasks() -> bool:
    """Return whether the scheduler counts a deferred task for ``max_active_tis_per_dag``."""
    return _core_version() >= (3, 2, 2)


@cache
def _core_version() -> tuple[int, ...]:
    numbers = version("apache-airflow-core").split(".")[:3]
    return tuple(int(number) for number in numbers if number.isdigit())
