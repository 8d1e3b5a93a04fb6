"""What is said when a wait is handed to Airflow: to the triggerer, or to a later poke."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.spec import WaitPlan

#: What Airflow's column for a trigger's arguments holds on MySQL, in bytes; elsewhere it has no limit. A
#: worker cannot know which database Airflow uses.
MYSQL_BYTES = 65_535
#: What Airflow may add to the arguments before they are encrypted.
_WRAPPING = 64

#: Seconds between two pokes in reschedule mode below which Airflow's scheduler failed tasks when that was
#: measured (docs/waiting.md).
SAFE_RESCHEDULE = 60.0


def reschedule_warning(poll_interval: float) -> str | None:
    """Return what a person should know of the distance between two pokes in reschedule mode, if anything."""
    if poll_interval >= SAFE_RESCHEDULE:
        return None
    return (
        f"poke_interval is {poll_interval:g} s in reschedule mode. Airflow's scheduler may fail such a task "
        "without a line in its log, if the next poke is queued before the end of the one before was seen: "
        f"the busier Airflow is, the more often. deferrable=True has no such race; {SAFE_RESCHEDULE:g} s or "
        "more make it rare."
    )


def stored_bytes(arguments: Mapping[str, Any]) -> int:
    """Return what a trigger's arguments take in Airflow's database: JSON, encrypted, in base64."""
    plain = len(json.dumps(arguments)) + _WRAPPING
    # Fernet: version, time, start vector, whole blocks of 16 bytes, signature.
    token = 1 + 8 + 16 + (plain // 16 + 1) * 16 + 32
    return (token + 2) // 3 * 4


def size_warning(arguments: Mapping[str, Any], jobs: int, limit: int | None) -> str | None:
    """
    Return what a person should know of the arguments' size before a deferral, if anything.

    :param jobs: how many the arguments name.
    :param limit: bytes that Airflow's database holds, 0 for any number, None if that is not known.
    :raises SettingsError: they are known not to fit.
    """
    size = stored_bytes(arguments)
    most = MYSQL_BYTES if limit is None else limit
    if limit == 0 or size <= most:
        return None
    fitting = (
        f"a sensor for about {jobs * most // size} of these jobs fits, so split the list or map the sensor"
    )
    if limit is not None:
        raise SettingsError(
            f"the arguments of a deferred wait for {jobs} jobs take {size} bytes in Airflow's database, and "
            f"[jobstatus] max_trigger_bytes is {limit}; {fitting}, or set deferrable=False"
        )
    return (
        f"The arguments of this wait for {jobs} jobs take {size} bytes in Airflow's database. On MySQL its "
        f"column holds {most}, and the deferral fails there: {fitting}. Other databases take them: there set "
        "[jobstatus] max_trigger_bytes to 0, and this is not said again"
    )


def handover(asked: str, ids: Sequence[str], seen: JobStatus | None, first: str, plan: WaitPlan) -> str:
    """
    Return the line that a wait leaves in the task's log when it goes to the triggerer.

    :param asked: vendor and connection.
    :param ids: of the jobs.
    :param seen: what the vendor said of ``first``, if anything.
    :param first: id of the job that was looked at.
    :param plan: of the wait, as the triggerer gets it.
    """
    outage = "any time" if plan.max_outage is None else f"{plan.max_outage:g} s"
    grows = ", doubling" if plan.exponential_backoff else ""
    state = seen.describe() if seen else "not seen yet"
    return (
        f"{asked}: waiting in the triggerer for {len(ids)} job{'s' * (len(ids) != 1)}. {first} is {state}; "
        f"polled every {plan.poll_interval:g} s{grows}, next by {in_utc(plan.first_poll_at, ' ')}; "
        f"deadline {in_utc(plan.deadline_at, ' ')}; an outage may last {outage}"
    )
