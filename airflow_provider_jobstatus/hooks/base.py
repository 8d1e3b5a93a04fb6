"""
Base of every vendor's hook: what its author writes, and what he is given.

A vendor's hook is its knowledge as flows, and nothing else: how a credential is shown, how a job's
status is polled, which word means what, and how a connection is tried. ``driving`` drives that.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from airflow_provider_jobstatus.core.errors import NotFound, RequestRejected, SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.ids import job_id_text
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.operation import Operation, Secrets
from airflow_provider_jobstatus.core.redaction import redact
from airflow_provider_jobstatus.core.responses import json_object, retry_after
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.flow_kit import FlowKit


class BatchJobHook(FlowKit):
    """
    Base of a vendor's hook. A subclass that is registered for a connection type, by whatever provider, works
    with ``BatchJobSensor`` unchanged.

    What a subclass must have: the class variables ``conn_type``, ``conn_name_attr``, ``default_conn_name``,
    ``hook_name``, ``public_url`` and ``statuses``; :meth:`make_auth`, :meth:`status_flow` and
    :meth:`ping_flow`. A constructor of its own takes the connection's id as first argument, under the name in
    ``conn_name_attr``, and does no more than store it.

    What it may have: :meth:`parse_job_id`, if a job id has parts; :meth:`list_place` and :meth:`list_flow`,
    if the vendor lists jobs; :meth:`is_own_error`, if its errors have a form; :meth:`explain_refusal` and
    :meth:`account`; ``rate_limit``, ``credential``, ``default_interval`` and ``extra_fields``.

    What its flows are given: :attr:`settings`, :meth:`request`, :meth:`read_state`, :meth:`read_word`,
    :meth:`known_state`, :meth:`check_id`, :meth:`check_job`, :meth:`check_success` and :meth:`foreign`.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    #: Epoch seconds, for a login that is signed.
    wall_clock: Callable[[], float] = staticmethod(time.time)

    def parse_job_id(self, job_id: str) -> Any:
        """
        Return a job id as the other methods take it: its text, unless a vendor's ids have parts. Its
        ``str()`` is that text in any case. It is parsed once a wait, not once a poll.

        :param job_id: as the user gave it.
        :raises SettingsError: an id of the wrong form.
        """
        return job_id_text(job_id)

    @abstractmethod
    def status_flow(self, job: Any) -> Flow[JobStatus]:
        """
        Ask for a job's status. Credentials, retries and deadlines are not its concern.

        :param job: from :meth:`parse_job_id`.
        :raises SettingsError: an id of the wrong form, before anything is sent.
        """

    @abstractmethod
    def ping_flow(self) -> Flow[str]:
        """
        Make one harmless authenticated read, and say in a sentence what it showed.

        Any server has a page for what it does not know: only a reply in the vendor's own shape counts.
        """

    def list_place(self, job: Any) -> tuple[str, str] | None:
        """
        Return the list in which the vendor shows a job, and the key by which it is named there.

        Waits whose jobs stand in the same list read it together. None, the default, for no list.

        :param job: from :meth:`parse_job_id`.
        """
        return None

    def list_flow(self, name: str) -> Flow[Listing]:
        """
        Read a list of jobs.

        :param name: from :meth:`list_place`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no list {name!r}")

    def is_own_error(self, response: Response) -> bool:
        """
        Whether an error has the form in which the vendor sends them. One that has not is of a proxy or a
        firewall, and counts only when it is seen twice. By default any JSON object has.
        """
        return bool(json_object(response.body))

    def status_operation(self, job: Any) -> Operation[JobStatus]:
        """
        Return the operation that polls a job's status.

        :param job: from :meth:`parse_job_id`.
        """
        # Without a bound method within it: each job has one, and the garbage collector visits every object.
        finish = partial(type(self)._finish_status, self, str(job))
        return Operation(partial(self.status_flow, job), finish=finish, blame=self._blame)

    def _finish_status(
        self, job_id: str, status: JobStatus, response: Response, secrets: Secrets
    ) -> JobStatus:
        wait = retry_after(response)
        # A word of ours has nothing to hide; one of the user's might be the key itself.
        harmless = status.vendor_status in self.statuses and status.detail is None
        if harmless and wait is None and status.job_id == job_id:
            return status
        word, detail = status.vendor_status, status.detail
        if not harmless:
            # A vendor may echo what we sent, also in the explanation of a failure.
            hidden = secrets()
            word = clean(redact(word, hidden), 80)
            detail = None if detail is None else clean(redact(detail, hidden))
        return replace(status, job_id=job_id, vendor_status=word, detail=detail, retry_after=wait)

    def _blame(self, error: VendorError, response: Response) -> None:
        if error.retry_after is None:
            error.retry_after = retry_after(response)
        if isinstance(error, (NotFound, RequestRejected)) and error.status == response.status:
            error.own = response.status != HTTPStatus.MISDIRECTED_REQUEST and self.is_own_error(response)

    def submission(self, flow: Callable[[], Flow[str]]) -> Operation[str]:
        """
        Return the operation that makes a job: sent once, and again only if it certainly made none.

        :param flow: makes the flow, which sends one request and returns the job's id as :meth:`parse_job_id`
            takes it.
        """
        return Operation(flow, repeatable=False, is_own=self.is_own_refusal, blame=self._blame)

    def is_own_refusal(self, response: Response) -> bool:
        """Return whether a 4xx to a submission has the form of this vendor's errors."""
        return response.status != HTTPStatus.MISDIRECTED_REQUEST and self.is_own_error(response)

    def list_operation(self, name: str) -> Operation[Listing]:
        """
        Return the operation that reads a list of jobs.

        :param name: from :meth:`list_place`.
        """
        return Operation(partial(self.list_flow, name))

    def listed_status(self, job_id: str, listed: Listed) -> JobStatus:
        """Return the status of a job as a list has it. Its end is to be confirmed by the job's own status."""
        state = self.known_state(listed.word)
        return JobStatus(
            job_id,
            self.conn_type,
            JobState.RUNNING if state is None else state,
            # A word that we know has nothing to hide.
            clean(redact(listed.word, self.auth.secrets) if state is None else listed.word, 80),
            progress=listed.progress,
            known=state is not None,
        )

    def job_status(self, job_id: str) -> JobStatus:
        """
        Ask once for a job's status.

        :param job_id: in the form that the vendor's hook documents.
        :raises VendorError: no usable response.
        :raises SettingsError: connection or id unusable; nothing was sent.
        """
        return self.call(self.status_operation(self.parse_job_id(job_id)))

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection with one harmless authenticated read; Airflow's page has a button for it."""
        try:
            return True, self.call(Operation(self.ping_flow))
        except (VendorError, SettingsError) as error:
            if isinstance(error, VendorError):
                error.conn_id = ""
            # Airflow tries the form by a name of its own, which means nothing to its user.
            return False, clean(str(error).replace(f"connection {self.conn_id!r}", "this connection"))
