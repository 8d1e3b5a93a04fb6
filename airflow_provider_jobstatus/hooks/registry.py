"""The way from a connection to its hook."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.hooks.base import BatchJobHook

if TYPE_CHECKING:
    from airflow.sdk import Connection


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
