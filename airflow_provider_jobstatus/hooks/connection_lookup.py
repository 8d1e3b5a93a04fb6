"""Airflow's connections, by their ids."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, unreadable

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: How often a connection is looked for on a worker until it counts as not defined.
LOOKUPS = 3


def read_connection(conn_id: str) -> Connection:
    """
    Return a connection, on a worker.

    :raises SettingsError: it is not defined.
    :raises TransportError: a secrets backend or Airflow's API server is away, and with it perhaps the
        connection.
    """
    # Airflow says "not defined" also if its API server did not answer, after tries and pauses of its own. So
    # a repetition costs next to nothing if it is not defined, and bridges a restart if it is.
    for _ in range(LOOKUPS):
        # Airflow 3.1.0 has nobody to ask outside a task, and says so by failing to import it.
        try:
            with suppress(AirflowNotFoundException, ImportError):
                return BaseHook.get_connection(conn_id)
        except (AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
            raise unreadable(conn_id, type(error).__name__) from None
    # A variable that could be read would have been found: no backend that is away explains this.
    if _variable(conn_id) not in os.environ and (trouble := _trouble(conn_id)):
        raise unreadable(conn_id, trouble)
    raise _not_defined(conn_id)


def _trouble(conn_id: str) -> str | None:
    """Return what kept Airflow from knowing whether a connection is defined; None if nothing did."""
    # Airflow takes a backend that raises, and an API server that is away, for one that knows no connection.
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import comms, supervisor, task_runner

    try:
        for backend in supervisor.ensure_secrets_backend_loaded():
            backend.get_connection(conn_id=conn_id)
        supervised = getattr(task_runner, "SUPERVISOR_COMMS", None)
        answer = supervised.send(comms.GetConnection(conn_id=conn_id)) if supervised is not None else None
    except (ImportError, ValueError):
        # The latter is a connection that is there and cannot be parsed: no try mends it.
        return None
    except Exception as error:  # noqa: BLE001 - a backend may raise anything
        return f"a secrets backend failed with {type(error).__name__}"
    if isinstance(answer, comms.ErrorResponse) and answer.error is not ErrorType.CONNECTION_NOT_FOUND:
        return f"Airflow's API server said {answer.error.value}"
    return None


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
    name = _variable(conn_id)
    if name in os.environ:
        fix = f"{name} is not readable as JSON or as a URI; correct it where this process is started"
    else:
        fix = "add it, or, if it is there, see in Airflow's log why it cannot be read"
    return SettingsError(f"connection {conn_id!r} is not defined; {fix}")


def _variable(conn_id: str) -> str:
    """Return the name of the variable of the environment that Airflow takes for a connection."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def _in_triggerer() -> bool:
    from airflow.sdk.execution_time import task_runner

    return hasattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend")
