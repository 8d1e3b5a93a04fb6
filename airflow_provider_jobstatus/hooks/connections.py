"""The way from a connection's id to its hook."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.hooks.base import BatchJobHook, not_defined, read_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection


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
            raise not_defined(conn_id) from None
        # dag.test() runs a trigger in a process whose asynchronous lookup does not see the metadata database.
        return await asyncio.to_thread(read_connection, conn_id)


def hook_for(connection: Connection) -> BatchJobHook:
    """
    Return the hook that is registered for the connection's type. Imports code and may take half a second.

    :raises SettingsError: no hook of this kind is registered for it, or the connection cannot be used.
    """
    found = _compat.hook_registry().get(connection.conn_type)
    # Airflow registers some types of its own without a class.
    if found is not None and found.hook_class_name:
        module, _, name = found.hook_class_name.rpartition(".")
        hook_class = getattr(import_module(module), name)
        if isinstance(hook_class, type) and issubclass(hook_class, BatchJobHook):
            return hook_class.from_connection(connection)
    raise SettingsError(
        f"connection {connection.conn_id!r} is of type {connection.conn_type!r}, and no hook for batch jobs "
        "is installed for that type"
    )


def _in_triggerer() -> bool:
    from airflow.sdk.execution_time import task_runner

    return hasattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend")
