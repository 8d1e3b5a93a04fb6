"""Airflow's connections, by their ids."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_jobstatus.core.errors import SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: How often a connection is looked for on a worker until it counts as not defined.
LOOKUPS = 3


def read_connection(conn_id: str) -> Connection:
    """
    Return a connection, on a worker.

    :raises SettingsError: it is not defined.
    """
    # Airflow says "not defined" also if its API server did not answer, after tries and pauses of its own. So
    # a repetition costs next to nothing if it is not defined, and bridges a restart if it is.
    for _ in range(LOOKUPS):
        # Airflow 3.1.0 has nobody to ask outside a task, and says so by failing to import it.
        with suppress(AirflowNotFoundException, ImportError):
            return BaseHook.get_connection(conn_id)
    raise _not_defined(conn_id)


async def aread_connection(conn_id: str) -> Connection:
    """
    Return a connection, in an event loop.

    :raises SettingsError: it is not defined.
    """
    try:
        return await BaseHook.aget_connection(conn_id)
    except ImportError:
        # Airflow 3.1.0 outside its own processes, where there is nobody whom it could ask in the end.
        return await asyncio.to_thread(read_connection, conn_id)
    except AirflowNotFoundException:
        if _in_triggerer():
            raise _not_defined(conn_id) from None
        # dag.test() runs a trigger in a process whose asynchronous lookup does not see the metadata database.
        return await asyncio.to_thread(read_connection, conn_id)


def _not_defined(conn_id: str) -> SettingsError:
    """Return the error for a connection that Airflow does not find."""
    return SettingsError(
        f"connection {conn_id!r} is not defined; add it, or, if it is there, see in Airflow's log why it "
        "cannot be read"
    )


def _in_triggerer() -> bool:
    from airflow.sdk.execution_time import task_runner

    return hasattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend")
