"""What the scheduler must know of a vendor: what its hook tells without I/O."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.waiting.session_policy import Account, Session


class PolledVendor(Account, Protocol):
    """A hook, as far as it decides without I/O what is polled."""

    conn_type: ClassVar[str]

    @property
    def account_digest(self) -> str:
        """The account that the connection leads to."""
        ...

    @property
    def uses_lists(self) -> bool:
        """Whether the vendor's lists may be read."""
        ...

    def check_account(self, digest: str) -> None:
        """Refuse another account than a wait began with. :raises SettingsError: it is another."""
        ...

    def parse_job_id(self, job_id: str) -> Any:
        """Return a job id as the vendor takes it. :raises SettingsError: a malformed id."""
        ...

    def status_operation(self, job: Any) -> Operation[JobStatus]:
        """Return the operation that asks for the status of a job."""
        ...

    def list_place(self, job: Any) -> tuple[str, str] | None:
        """Return the list that shows a job, and its key there."""
        ...

    def known_state(self, word: str) -> JobState | None:
        """Return the state that a word means, or None."""
        ...

    def listed_status(self, job_id: str, listed: Listed) -> JobStatus:
        """Return what a list tells of a job."""
        ...


#: A connection as it was read last.
VendorSession: TypeAlias = Session[PolledVendor]
