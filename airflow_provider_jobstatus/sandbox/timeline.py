"""How a job gets from one of its vendor's words to the next: with time, or by a script."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.script import Entry, Script, read_script
from airflow_provider_jobstatus.sandbox.vendor import JobView


class Timeline:
    """The status of one job.

    :param stages: The words before the end, each with the seconds for which it lasts.
    :param end: The last word.
    :param terminal: The words that end a job, also in a script.
    :param created_at: When the job was made, in epoch seconds.
    :param waits_for_poll: Whether it is made anew at the first status request.
    :param script: Answers to successive status requests; what they show counts more than time.
    """

    def __init__(
        self,
        *,
        stages: Sequence[tuple[str, float]],
        end: str,
        terminal: Collection[str],
        created_at: float,
        waits_for_poll: bool = False,
        script: Sequence[Entry] = (),
    ) -> None:
        self.created_at = created_at
        self.polls = 0
        self.last_poll_at: float | None = None
        self._stages = tuple(stages)
        self.end = end
        self._terminal = terminal
        self._waits_for_poll = waits_for_poll
        self._script = Script(script, repeat_last=True)
        self._ended_at: float | None = None

    def poll(self, now: float) -> Entry | None:
        """Count a status request and return the scripted answer to it, if there is one."""
        if self._waits_for_poll:
            self.created_at, self._waits_for_poll = now, False
        self.polls += 1
        self.last_poll_at = now
        entry = self._script.take()
        if entry and entry.fields:
            self._note_end(now)
        return entry

    def show_in_list(self, now: float) -> None:
        """Let the script move on for a list that shows the job."""
        self._script.show_in_list()
        self._note_end(now)

    def _note_end(self, now: float) -> None:
        if self._ended_at is None and "status" in self.overrides and self.ended(now):
            self._ended_at = now

    @property
    def overrides(self) -> Mapping[str, object]:
        """The keys of the answer that the script has shown last."""
        return self._script.shown

    def word(self, now: float) -> object:
        """Return the status: what the script has shown last, else what the time says."""
        return self.overrides.get("status", self.stage(now)[0])

    def ended(self, now: float) -> bool:
        """Return whether the job has come to an end."""
        return str(self.word(now)).lower() in self._terminal

    def ended_at(self, now: float) -> float:
        """Return when a job ended that has come to an end."""
        if "status" in self.overrides:
            return now if self._ended_at is None else self._ended_at
        return self.created_at + sum(seconds for _, seconds in self._stages)

    def stage(self, now: float) -> tuple[str, float]:
        """Return the word that time alone brings, and how much of its stage is over, from 0 to 1."""
        left = now - self.created_at
        for word, seconds in self._stages:
            if self._waits_for_poll:
                return word, 0.0
            if left < seconds:
                return word, left / seconds
            left -= seconds
        return self.end, 1.0

    def view(self, vendor: str, job_id: str, status: object, progress: object = None) -> JobView:
        """Return the job as ``GET /_sandbox/jobs`` shows it."""
        return {
            "vendor": vendor,
            "id": job_id,
            "status": status,
            "progress": progress,
            "polls": self.polls,
            "last_poll_at": self.last_poll_at,
        }


def read_timeline(
    given: Fields,
    now: float,
    *,
    seconds: Mapping[str, float],
    ends: Sequence[str],
    keys: Collection[str],
    end: str | None = None,
) -> Timeline:
    """Read a job's way from the body of an admin request.

    The keys are ``<word>_seconds`` for each word before the end, ``end``, ``script`` and
    ``start_on_first_poll``.

    :param seconds: The words before the end in order, and how long each lasts by default.
    :param ends: The words that may end a job.
    :param end: The usual one; by default the first of them.
    :param keys: The keys of the vendor's documented answer, which a script may set.
    """
    return Timeline(
        stages=[(word, given.number(f"{word}_seconds", usual)) for word, usual in seconds.items()],
        end=given.choice("end", ends, end or ends[0]),
        terminal=ends,
        created_at=now,
        waits_for_poll=given.flag("start_on_first_poll"),
        script=read_script(given.take("script", []), keys=keys),
    )
