"""How a wait is handed to the triggerer, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.hooks.airflow_configuration import max_trigger_bytes
from airflow_provider_jobstatus.tasks.arguments import LONGEST
from airflow_provider_jobstatus.tasks.blocking_wait import BlockingWait
from airflow_provider_jobstatus.tasks.final_progress import show
from airflow_provider_jobstatus.tasks.triggerer_check import triggerer_trouble
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.outcome import digest
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.progress import summary
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, WaitSpec
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

#: What Airflow's column for a trigger's arguments holds on MySQL, in bytes; elsewhere it has no limit. A
#: worker cannot know which database Airflow uses.
MYSQL_BYTES = 65_535
#: What Airflow may add to the arguments before they are encrypted.
_WRAPPING = 64

#: Airflow's own time-out of a deferral comes this much after ours, in case the triggerer is away; and after
#: the longest time that a list and a question take that begin at our deadline.
BACKSTOP = 300.0
#: Seconds between the first polls of two jobs in the triggerer, where they need not fill the poll interval.
SPREAD = 0.25


def prepare(
    wait: BlockingWait, running: JobPoller, session: WorkerSession, task: Any, log: Logger
) -> tuple[dict[str, Any], timedelta]:
    """
    Say in the task's log and on Airflow's page that the triggerer goes on with a wait.

    :param running: poller of the first job that has not ended.
    :param task: Airflow's task instance, or None.
    :return: arguments of the ``BatchJobTrigger``, and Airflow's own time-out of the deferral.
    :raises SettingsError: the arguments are known not to fit into Airflow's database.
    """
    now, ids = session.now(), [poller.job_id for poller in wait.pollers]
    # From then on the triggerer shows changes.
    show(task, summary(wait.pollers, now), log)
    seen = [status.as_dict() for status in wait.seen() if status is not None][-MAX_DETAILED:]
    spec = handed_over(wait.spec, running, seen, len(ids), now, session.account)
    arguments = {"conn_id": session.conn_id, "job_ids": ids, **spec.as_json()}
    trouble = triggerer_trouble(), size_warning(arguments, len(ids), max_trigger_bytes())
    for line in filter(None, trouble):
        log.warning(line)
    asked = f"{session.hook.conn_type} (connection {session.conn_id!r})"
    log.info(handover(asked, ids, running.last_status, running.job_id, spec))
    late = BACKSTOP + 2 * session.hook.longest_question
    left = min(max(spec.deadline_at - now, 0.0) + late, LONGEST)
    return arguments, timedelta(seconds=left)


def handed_over(
    spec: WaitSpec,
    running: JobPoller,
    seen: Iterable[Mapping[str, Any]],
    jobs: int,
    now: float,
    account: str,
) -> WaitSpec:
    """
    Return a wait as the triggerer goes on with it.

    :param running: poller of the first job that has not ended.
    :param seen: what the vendor said of jobs, as plain dicts.
    :param jobs: how many there are.
    :param account: digest of the account that they are of.
    """
    # The first poll may have taken its time.
    soonest, first_poll_at = now + MIN_DEFERRAL, spec.first_poll_at
    if spec.adaptive:
        # Of several jobs the trigger spreads the first polls over the time before.
        apart = SPREAD * (jobs - 1)
        first_poll_at = min(first_poll_at, max(running.next_poll_at, soonest + apart))
    return replace(
        spec,
        first_poll_at=max(first_poll_at, soonest),
        account=account,
        not_before=running.not_before,
        told=digest(running.job_id, running.last_status),
        words=tuple(running.unknown_words),
        seen=tuple(seen),
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


def handover(asked: str, ids: Sequence[str], seen: JobStatus | None, first: str, spec: WaitSpec) -> str:
    """
    Return the line that a wait leaves in the task's log when it goes to the triggerer.

    :param asked: vendor and connection.
    :param ids: of the jobs.
    :param seen: what the vendor said of ``first``, if anything.
    :param first: id of the job that was looked at.
    :param spec: of the wait, as the triggerer gets it.
    """
    outage = "any time" if spec.max_outage is None else f"{spec.max_outage:g} s"
    grows = ", doubling" if spec.exponential_backoff else ""
    state = seen.describe() if seen else "not seen yet"
    return (
        f"{asked}: waiting in the triggerer for {len(ids)} job{'s' * (len(ids) != 1)}. {first} is {state}; "
        f"polled every {spec.poll_interval:g} s{grows}, next by {in_utc(spec.first_poll_at, ' ')}; "
        f"deadline {in_utc(spec.deadline_at, ' ')}; an outage may last {outage}"
    )
