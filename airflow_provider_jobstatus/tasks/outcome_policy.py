"""The one table by which a wait becomes a task's result or failure, in every mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_jobstatus.core.jobs import JobState, job_result
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    BadTriggerEvent,
    JobCancelled,
    JobFailed,
    JobStatusError,
    JobTimedOut,
    PollingFailed,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.waiting.codec import VERSION, decode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.spec import WaitFor
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

#: Longest message of a wait for many jobs, in characters.
MESSAGE_LIMIT = 4000
#: So many jobs of a kind are named before what is said of each.
NAMED = 3
#: How a message goes on after "3 of 30 jobs", where that is not the word itself.
_IN_SUM = {
    "partial": "ended only in part",
    "succeeded": "succeeded, which is not allowed",
    "gave up": "gave no usable answer",
    "refused": "were refused",
    "unknown job": "are unknown",
    "bad settings": "cannot be asked about",
    "crashed": "were given up by a fault of this provider",
}

_ERRORS: dict[OutcomeKind, type[JobStatusError]] = {
    OutcomeKind.TIMED_OUT: JobTimedOut,
    OutcomeKind.STALLED: JobTimedOut,
    OutcomeKind.GAVE_UP: PollingFailed,
    OutcomeKind.REFUSED: VendorRefused,
    OutcomeKind.UNKNOWN_JOB: UnknownJob,
    OutcomeKind.BAD_SETTINGS: BadSettings,
    OutcomeKind.CRASHED: BadTriggerEvent,
}


@dataclass(frozen=True)
class OutcomePolicy:
    """
    What the task becomes at each end of a wait, as the DAG's author chose.

    :param allowed_states: terminal states that count as success.
    :param skipped_states: terminal states that skip the task.
    :param soft_fail: a time-out skips the task.
    :param never_fail: whatever would fail the task skips it.
    :param wait_for: ``"all"`` or ``"any"`` of several jobs.
    """

    allowed_states: frozenset[JobState]
    skipped_states: frozenset[JobState]
    soft_fail: bool
    never_fail: bool
    wait_for: WaitFor = "all"

    def settle(
        self, events: list[WaitOutcome], log: Logger, causes: Mapping[str, Exception] | None = None
    ) -> list[dict[str, Any]]:
        """
        Return the result of each job, or raise what the task ends with.

        Of several jobs, a failure outweighs a time-out, and a time-out a skip. With ``wait_for="any"``, one
        job that ended well outweighs all.

        :param causes: by job id, the exception behind an event that this very process has made.
        """
        skips, errors, won = [], [], False
        for event in events:
            if event.outcome is OutcomeKind.LEFT:
                continue
            if event.outcome is not OutcomeKind.FINISHED or event.status is None:
                errors.append((_ERRORS[event.outcome](event.message), event))
                continue
            line = f"{event.job_id}: ended {event.status.describe()}"
            if event.status.state in self.skipped_states:
                skips.append(line)
            elif event.status.state not in self.allowed_states:
                if event.status.state in (JobState.SUCCEEDED, JobState.PARTIAL):
                    line = f"{line}; {event.status.state.value!r} is not in allowed_states"
                kind = JobCancelled if event.status.state is JobState.CANCELLED else JobFailed
                errors.append((kind(line, event.status.as_dict()), event))
            else:
                won = won or self.wait_for == "any"
                if len(events) > MAX_DETAILED:
                    continue
                if event.status.state is not JobState.SUCCEEDED:
                    log.warning("%s; %r is allowed", line, event.status.state.value)
                elif len(events) == 1:  # of several, each end was logged when it was seen
                    log.info(line)
        results = [job_result(event.job_id, event.status) for event in events]
        if errors and not won:
            error, event = min(errors, key=lambda pair: isinstance(pair[0], JobTimedOut))
            if len(events) > 1:
                error.args = (clean(in_sum(error, errors, len(events)), MESSAGE_LIMIT),)
            error.results = results
            self.fail(error, (causes or {}).get(event.job_id))
        if skips and not won:
            raise AirflowSkipException(clean("; ".join(skips[:MAX_DETAILED]), MESSAGE_LIMIT))
        if len(events) > MAX_DETAILED:
            states = Counter(result["state"] or "never seen" for result in results)
            tell = log.info if set(states) == {JobState.SUCCEEDED} else log.warning
            tell("%d jobs: %s", len(events), ", ".join(f"{n} {state}" for state, n in states.items()))
        return results

    def fail(self, error: JobStatusError, cause: BaseException | None = None) -> NoReturn:
        """Raise ``error``, or the skip that the author chose instead."""
        if self.never_fail:
            raise AirflowSkipException(f"never_fail: {error}") from error
        if self.soft_fail and isinstance(error, JobTimedOut):
            raise AirflowSkipException(f"soft_fail: {error}") from error
        raise error from cause


def in_sum(first: JobStatusError, errors: Sequence[tuple[JobStatusError, WaitOutcome]], jobs: int) -> str:
    """
    Return the message of a wait for several jobs: how many and which, then what is said of each.

    :param first: what the task ends with.
    :param errors: what became of the jobs that did not end well.
    :param jobs: how many were waited for.
    """
    kinds: dict[str, list[str]] = {}
    for _, event in errors:
        word = event.status.state if event.outcome is OutcomeKind.FINISHED and event.status else event.outcome
        kinds.setdefault(word.value.replace("_", " "), []).append(event.job_id)
    counts = "; ".join(
        f"{len(ids)} of {jobs} jobs {_IN_SUM.get(word, word)}: "
        + ", ".join([*ids[:NAMED], *["..."] * (len(ids) > NAMED)])
        for word, ids in kinds.items()
    )
    others = [str(error) for error, _ in errors if error is not first]
    return " | ".join([counts, str(first), *others[:MAX_DETAILED]])


def read_event(event: object, job_ids: list[str]) -> list[WaitOutcome]:
    """
    Return what came back from the triggerer, after a check of every part of it.

    :param event: of the trigger.
    :param job_ids: that the task waits for.
    :return: how the wait for each job ended.
    :raises BadTriggerEvent: missing, foreign or newer.
    """
    if not isinstance(event, Mapping) or "version" not in event:
        raise BadTriggerEvent(
            f"the triggerer sent {'no event' if event is None else 'an event of another kind'}"
        )
    # True and 1.0 are no version of ours, though Python calls them equal.
    if type(event["version"]) is not int or event["version"] != VERSION:
        raise BadTriggerEvent(
            f"the triggerer sent an event of version {clean(event['version'], 20)}, this worker knows "
            f"version {VERSION}; install the same version of airflow-provider-jobstatus everywhere"
        )
    try:
        return decode(event, job_ids)
    except (ValueError, TypeError, LookupError, AttributeError) as problem:
        raise BadTriggerEvent(f"the triggerer sent an event that cannot be read: {clean(problem)}") from None
