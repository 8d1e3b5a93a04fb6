"""How many submissions of a task are under way at once: Airflow's own limit of running and deferred tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_jobstatus._compat import counts_deferred_tasks
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import BadSettings

#: Airflow's name for it: instances of one task in all runs of its DAG.
AIRFLOWS = "max_active_tis_per_dag"


def limited(given: Mapping[str, Any], limit: object) -> dict[str, Any]:
    """
    Return the arguments of a task with Airflow's limit among them.

    :param given: the arguments.
    :param limit: how many submissions may be under way; None for any number.
    :raises BadSettings: it is no number, or Airflow's own limit is another.
    """
    if limit is None:
        return dict(given)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise BadSettings(
            f"max_active_submissions is {clean(repr(limit), 80)}; give a whole number, at least 1"
        )
    if given.get(AIRFLOWS) not in (None, limit):
        raise BadSettings(
            f"max_active_submissions is {limit} and {AIRFLOWS} {given[AIRFLOWS]}; both limit the same, so "
            "give one"
        )
    return {**given, AIRFLOWS: limit}


def limit_mapped(given: dict[str, Any], default_args: Mapping[str, Any] | None) -> None:
    """
    Set Airflow's limit among the arguments of a mapped task.

    :param given: of ``.partial()``, changed in place. Airflow adds no ``default_args`` but its own here.
    :param default_args: of the task itself.
    :raises BadSettings: as :func:`limited`.
    """
    defaults: dict[str, Any] = {}
    for scope in (given.get("dag"), given.get("task_group")):
        defaults.update(getattr(scope, "default_args", None) or {})
    defaults.update(default_args or {})
    name = "max_active_submissions"
    given.update(limited(given, given.get(name, defaults.get(name))))


def check_deferral(limit: int | None, *, deferrable: bool) -> None:
    """
    Refuse a limit that Airflow would not keep.

    :param deferrable: whether the task waits in the triggerer.
    :raises BadSettings: it would not.
    """
    if limit is not None and deferrable and not counts_deferred_tasks():
        raise BadSettings(
            f"max_active_submissions is {limit} and the task defers; Airflow counts deferred ones from 3.2.2 "
            "on. Give the task a pool that includes deferred tasks instead, or set deferrable=False"
        )
