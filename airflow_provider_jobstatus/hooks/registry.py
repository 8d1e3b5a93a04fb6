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
    registry = _compat.hook_registry()
    found = registry.get(connection.conn_type)
    # Airflow registers some types of its own without a class.
    if found is not None and found.hook_class_name:
        module, _, name = found.hook_class_name.rpartition(".")
        hook_class = getattr(import_module(module), name)
        if isinstance(hook_class, type) and issubclass(hook_class, BatchJobHook):
            return hook_class.from_connection(connection)
    own = f"{__name__.partition('.')[0]}."
    # To know those of other providers, all their code would have to be imported.
    ours = sorted(
        name for name, info in registry.items() if info and (info.hook_class_name or "").startswith(own)
    )
    raise SettingsError(
        f"connection {connection.conn_id!r} is of type {connection.conn_type!r}, and no hook for batch jobs "
        f"is installed for that type; this provider has {', '.join(ours) or 'none here: install it'}"
    )
