"""Where the records of a task's submissions are kept: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.exceptions import NotSubmitted, SubmissionUnknown
from airflow_provider_jobstatus.tasks.submission_record import SubmissionRecord, SubmissionState

if TYPE_CHECKING:
    from airflow.sdk import Context

KEY = "airflow_provider_jobstatus.submission"
#: Longer than a task may wait for its job and be retried; Airflow's own default may be a day.
RETENTION = timedelta(days=90)

log = logging.getLogger(__name__)


class SubmissionStore:
    """
    Keeps a record a submission. Airflow keeps what a task stores over retries, clears and restarts.

    :param context: Airflow's.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    @property
    def lasts(self) -> bool:
        """Whether Airflow keeps what is written: from 3.3 on."""
        return self._store is not None

    def begin(self, context: Context) -> None:
        """
        Note that the first try has begun, and has submitted nothing: a later one without a record then knows
        that Airflow has dropped it, as with ``[state_store] clear_on_success``.

        :param context: Airflow's.
        """
        instance: Any = context.get("ti")
        if self.lasts and getattr(instance, "try_number", 1) == 1 and self.read(0) is None:
            unmade, max_tries = SubmissionState.UNMADE, int(getattr(instance, "max_tries", 0) or 0)
            self.write(0, SubmissionRecord(unmade, "", 1, max_tries, time.time()))

    def read(self, number: int) -> SubmissionRecord | None:
        """
        Return the record of an earlier try, or None if there is certainly none.

        :param number: of the submission within the task.
        :raises NotSubmitted: Airflow cannot be asked now.
        :raises SubmissionUnknown: there is one that cannot be read.
        """
        if self._store is None:
            return None
        try:
            stored = self._store.get(_key(number))
        except Exception as error:
            raise NotSubmitted(
                f"whether an earlier try has submitted is unknown, as Airflow's task state cannot be read "
                f"({type(error).__name__}); nothing was sent"
            ) from error
        if stored is None:
            return None
        try:
            return SubmissionRecord.from_json(stored)
        except (ValueError, TypeError) as error:
            raise SubmissionUnknown(
                f"the record of an earlier try in Airflow's task state under {_key(number)!r} cannot be read "
                f"({error}), so whether it has submitted is unknown; nothing was sent. If it has not, delete "
                "that record and clear the task"
            ) from error

    def intend(self, number: int, record: SubmissionRecord) -> None:
        """
        Write a record, and make sure that it is kept, before anything is sent.

        :raises NotSubmitted: it cannot be kept.
        """
        if self._store is None:
            return
        try:
            self._store.set(_key(number), record.as_json(), retention=RETENTION)
            kept = self._store.get(_key(number)) == record.as_json()
        except Exception as error:
            raise NotSubmitted(
                f"the intent to submit cannot be kept in Airflow's task state ({type(error).__name__}); "
                "nothing was sent"
            ) from error
        if not kept:
            raise NotSubmitted("the intent to submit was not kept in Airflow's task state; nothing was sent")

    def write(self, number: int, record: SubmissionRecord) -> bool:
        """
        Write what has become of a submission. An error is only logged: nothing of it may undo what happened.

        :return: whether it was kept.
        """
        if self._store is None:
            return False
        try:
            self._store.set(_key(number), record.as_json(), retention=RETENTION)
        except Exception as error:  # noqa: BLE001 - a store may raise anything
            log.warning("What became of the submission cannot be kept: %s", type(error).__name__)
            return False
        return True


def _key(number: int) -> str:
    return f"{KEY}.{number}"
