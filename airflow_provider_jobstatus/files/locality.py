"""Whether a file on this machine can be seen by the task that comes next."""

from __future__ import annotations

import re

from airflow.providers.common.compat.sdk import conf

from airflow_provider_jobstatus.files.places import LOCAL_SCHEMES, scheme_of

_ON_ONE_MACHINE = ("LocalExecutor", "SequentialExecutor")


def local_caveat(destination: str, executor: str | None) -> str | None:
    """
    Return a sentence if ``destination`` is a file of this machine and the next task may run on another.

    :param destination: path or URI.
    :param executor: the task's own, or None for Airflow's.
    """
    if scheme_of(destination) not in LOCAL_SCHEMES:
        return None
    name = _class_name(executor)
    if name in _ON_ONE_MACHINE:
        return None
    return (
        f"{destination} is a file of this machine, and with the {name} the next task may run elsewhere: give "
        "a folder that all of them share, or an object storage such as s3://"
    )


def _class_name(executor: str | None) -> str:
    """Return the name of the class: ``[core] executor`` may list several, with aliases and teams."""
    listed = [entry.rpartition("=")[2].strip() for entry in re.split("[,;]", conf.get("core", "executor"))]
    for entry in listed:
        path, _, alias = entry.partition(":")
        name = path.rpartition(".")[2]
        if executor in (None, path, alias, name):
            return name
    return str(executor).rpartition(".")[2]
