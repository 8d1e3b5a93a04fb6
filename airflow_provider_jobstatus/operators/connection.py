"""Which connection a task of one vendor uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
from airflow_provider_jobstatus.tasks import arguments

if TYPE_CHECKING:
    from airflow.sdk import Connection

H = TypeVar("H", bound=BatchJobHook)


class VendorOperator:
    """
    Takes a connection as ``conn_id``, as the sensor does, or under the vendor's own name for it.

    A ``conn_id`` of ``default_args`` may be meant for other tasks, such as those of a database. It counts
    only if its connection is of the vendor's type, which shows when the task runs; no account takes its place
    that was not named.
    """

    conn_id: str | None
    _given: frozenset[str] = frozenset()
    _is_inherited = False

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Remember what the task itself gives: afterwards Airflow fills in what ``default_args`` give."""
        made = super().__new__(cls)
        object.__setattr__(made, "_given", frozenset(given))
        return made

    def take_connection(
        self,
        hook_class: type[BatchJobHook],
        conn_id: str | None,
        own_id: str | None,
        default_args: Mapping[str, Any] | None,
    ) -> None:
        """
        Store the connection's id under both names.

        :param own_id: what was given under the vendor's own name.
        :param default_args: of the task, its groups and its DAG, merged.
        :raises BadSettings: an id is none, or the task gives two.
        """
        own_name, defaults = hook_class.conn_name_attr, default_args or {}
        conn_id, own_id = plain(conn_id), plain(own_id)

        def is_of_task(name: str, value: str | None) -> bool:
            if name in self._given:
                return True
            # A subclass may pass on what Airflow has filled in.
            return value is not None and not (name in defaults and defaults[name] == value)

        if own_id is not None or own_name in self._given or own_name in defaults:
            arguments.connection_id(own_name, own_id)
        if is_of_task("conn_id", conn_id):
            arguments.connection_id("conn_id", conn_id)
            if is_of_task(own_name, own_id) and own_id != conn_id:
                raise BadSettings(
                    f"conn_id is {conn_id!r} and {own_name} {own_id!r}; both name the connection, give one"
                )
            own_id = conn_id
        elif is_of_task(own_name, own_id) or "conn_id" not in defaults:
            conn_id = own_id = own_id or hook_class.default_conn_name
        else:
            self._is_inherited = True
        self.conn_id = conn_id
        setattr(self, own_name, own_id)

    def vendor_hook(self, hook_class: type[H], *, warn: bool = True) -> H:
        """
        Return the hook of the task's connection, and log what a person should know of it.

        :param warn: False where a wait logs the same.
        :raises SettingsError: the connection cannot be used.
        :raises BadSettings: the task has named no connection of the vendor, or ``default_args`` two.
        """
        hook = self._inherited(hook_class) if self._is_inherited else hook_class(self.conn_id or "")
        for caveat in hook.connection_warnings() if warn else ():
            hook.log.warning(caveat)
        return hook

    def _inherited(self, hook_class: type[H]) -> H:
        own_name = hook_class.conn_name_attr
        own_id: str | None = getattr(self, own_name)
        connection: Connection | None
        try:
            connection = read_connection(self.conn_id or "")
            kind = f"is of type {connection.conn_type!r}, not"
        except SettingsError:
            connection, kind = None, "is no connection of type"
        if connection is None or not hook_class.fits(connection):
            if own_id is not None:
                return hook_class(own_id)
            raise BadSettings(
                f"conn_id {self.conn_id!r} of default_args {kind} {hook_class.conn_type!r}; give the task "
                f"itself a conn_id or {own_name}"
            )
        if own_id not in (None, self.conn_id):
            raise BadSettings(
                f"default_args give conn_id {self.conn_id!r} and {own_name} {own_id!r}, and either may be "
                "meant; give the task itself one of them"
            )
        return hook_class.from_connection(connection)
