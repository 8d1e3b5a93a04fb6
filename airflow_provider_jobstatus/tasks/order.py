"""What a task asks a vendor for, and what is known of asking twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_jobstatus.core.operation import Operation


@dataclass(frozen=True, kw_only=True)
class Order:
    """
    One job that a task asks a vendor for.

    :param operation: makes the job, by one request, and returns its id.
    :param digest: of what is asked for, without what differs from try to try; empty with :attr:`prepare`.
    :param about: for messages, such as ``"a report of calls"``; holds no personal data.
    :param prepare: checks what is to be sent, where that takes a file, and returns its digest; not called
        where the job of an earlier try needs no more of it.
    :param before: returns plain JSON that :attr:`search` needs; called before the request is sent, and may
        ask the vendor.
    :param search: returns the ids of the jobs that the request may have made, from what :attr:`before` has
        returned. None if the vendor cannot be searched.
    :param earlier: returns the ids of jobs that earlier tries have made, for an Airflow that keeps no record.
    """

    operation: Operation[str]
    about: str
    digest: str = ""
    prepare: Callable[[], str] | None = None
    before: Callable[[], Any] | None = None
    search: Callable[[Any], list[str]] | None = None
    earlier: Callable[[], list[str]] | None = None

    def checked(self) -> str:
        """
        Return the digest of what is about to be sent, and is checked by now.

        :raises SettingsError, NotSubmitted: it cannot be sent.
        """
        return self.prepare() if self.prepare else self.digest


@dataclass(frozen=True, kw_only=True)
class SubmitRules:
    """
    What the author of a DAG, and the vendor, say of submitting again.

    :param check: what a person looks at, to see whether there is a job.
    :param harmful: whether a second job does harm, as one that sends mail: then only
        ``resubmit_when_cleared`` allows one.
    :param on_failure: whether a later try submits again if the job has failed.
    :param when_cleared: whether a cleared task submits again also where what became of its job is unknown.
    """

    check: str
    harmful: bool = False
    on_failure: bool = False
    when_cleared: bool = False

    @property
    def again(self) -> bool:
        """Whether a cleared task may submit anew."""
        return self.when_cleared or not self.harmful

    def advice(self, conn_id: str) -> str:
        """Return what a person can do where it is unknown whether there is a job."""
        anew = "clear the task" if self.again else "set resubmit_when_cleared=True and clear the task"
        return (
            f"nothing is sent again by machine. Check {self.check} (connection {conn_id!r}). To submit anew, "
            f"{anew}"
        )
