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

#: It was not found, and is there: what was away then is back.
FOUND_LATER = "Airflow found it only when asked again"
#: How often a connection is looked up on a worker until it counts as not defined.
LOOKUPS = 3


def read_connection(conn_id: str) -> Connection:
    """
    Return a connection, on a worker.

    :raises SettingsError: it is not defined.
    :raises TransportError: a secrets backend or Airflow's API server is away, and with it perhaps the
        connection.
    """
    # Airflow says "not defined" also if its API server did not respond, after tries and pauses of its own. So
    # a repetition costs next to nothing if it is not defined, and bridges a restart if it is.
    for _ in range(LOOKUPS):
        # Outside a task Airflow 3.1.0 has no supervisor to look it up, which shows as a failed import.
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
    from airflow.sdk.execution_time import comms, task_runner

    try:
        if trouble := _backend_trouble(conn_id):
            return trouble
        supervised = getattr(task_runner, "SUPERVISOR_COMMS", None)
        return None if supervised is None else _doubt(supervised.send(comms.GetConnection(conn_id=conn_id)))
    except ImportError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever its line to the supervisor raises
        return f"Airflow's API server was not asked: {type(error).__name__}"


async def _atrouble(conn_id: str) -> str | None:
    """Return the same, in a triggerer."""
    from airflow.sdk.execution_time import comms, task_runner

    try:
        if trouble := await asyncio.to_thread(_backend_trouble, conn_id):
            return trouble
        return _doubt(await task_runner.SUPERVISOR_COMMS.asend(comms.GetConnection(conn_id=conn_id)))
    except ImportError:
        return None
    except Exception as error:  # noqa: BLE001 - as above
        return f"Airflow's API server was not asked: {type(error).__name__}"


def _backend_trouble(conn_id: str) -> str | None:
    """Return why a secrets backend does not say whether a connection is defined; None if each says."""
    # Airflow takes a backend that raises for one that knows no connection.
    from airflow.sdk.execution_time import supervisor
    from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend

    for backend in supervisor.ensure_secrets_backend_loaded():
        # That one takes an API server that is away for one that knows none; its API is called without it.
        if not isinstance(backend, ExecutionAPISecretsBackend):
            try:
                found = backend.get_connection(conn_id=conn_id)
            except ValueError:
                # A connection that is there and cannot be parsed: no try mends it.
                return None
            except Exception as error:  # noqa: BLE001 - a backend may raise anything
                return f"a secrets backend failed with {type(error).__name__}"
            if found is not None:
                return FOUND_LATER
    return None


def _doubt(answer: object) -> str | None:
    """Return why a response of Airflow's API server does not say that a connection is not defined."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import comms

    if isinstance(answer, comms.ErrorResponse):
        missing = answer.error is ErrorType.CONNECTION_NOT_FOUND
        return None if missing else f"Airflow's API server said {answer.error.value}"
    return None if answer is None else FOUND_LATER


async def aread_connection(conn_id: str) -> Connection:
    """
    Return a connection, in an event loop.

    :raises SettingsError: it is not defined.
    :raises TransportError: as on a worker.
    """
    try:
        return await BaseHook.aget_connection(conn_id)
    except ImportError:
        # Airflow 3.1.0 outside its own processes has no supervisor to look it up.
        return await asyncio.to_thread(read_connection, conn_id)
    except AirflowNotFoundException:
        if not _in_triggerer():
            # dag.test() runs a trigger in a process whose asynchronous lookup does not see the metadata
            # database.
            return await asyncio.to_thread(read_connection, conn_id)
    if _variable(conn_id) not in os.environ and (trouble := await _atrouble(conn_id)):
        raise unreadable(conn_id, trouble)
    raise _not_defined(conn_id)


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
