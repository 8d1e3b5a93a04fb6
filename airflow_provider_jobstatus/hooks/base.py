"""
Base of every vendor's hook.

A vendor's hook is its knowledge as flows, and nothing else: it says how to show a credential, how to ask for
a job's status, which word means what, and how to try a connection. This base turns that into calls.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, TypeVar

from airflow_provider_jobstatus.core.auth import Shown, secrets_of
from airflow_provider_jobstatus.core.errors import NotFound, RequestRejected, SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing, StatusTable
from airflow_provider_jobstatus.core.redaction import redact
from airflow_provider_jobstatus.core.responses import expect, json_object, retry_after, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.calls import CallingHook

if TYPE_CHECKING:
    pass

T = TypeVar("T")


class BatchJobHook(CallingHook):
    """
    Base of a vendor's hook. A subclass that is registered for a connection type, by whatever provider, works
    with ``BatchJobSensor`` unchanged.

    A subclass sets the class variables, and writes :meth:`make_auth`, :meth:`status_flow` and
    :meth:`ping_flow`. Its constructor takes the connection's id as first argument, under the name in
    ``conn_name_attr``, and does no more than store it.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]
    #: The vendor's status words.
    statuses: ClassVar[Mapping[str, JobState]]
    #: Epoch seconds, for a login that is signed.
    wall_clock: Callable[[], float] = staticmethod(time.time)

    @cached_property
    def _words(self) -> StatusTable:
        return StatusTable(self.statuses).merged(self.settings.statuses)

    @abstractmethod
    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a job's status. Credentials, retries and deadlines are not its concern.

        :param job_id: the whole id, as the user gave it.
        :raises SettingsError: an id of the wrong form, before anything is sent.
        """

    @abstractmethod
    def ping_flow(self) -> Flow[str]:
        """
        Make one harmless authenticated read, and say in a sentence what it showed.

        Any server has a page for what it does not know: only a reply in the vendor's own shape counts.
        """

    def foreign(self, request: Request, response: Response, wanted: str) -> VendorError:
        """
        Return the error for a reply to a ping that may well be another server's.

        :param wanted: what the vendor's own reply would be.
        """
        try:
            expect(request, response, 400, 404)
        except VendorError as error:  # says more: a refusal, an outage, a redirect
            return error
        text = (
            f"answered {response.status} ({clean(response.content_type, 40) or 'no content type'}), as any "
            f"server might; expected is {wanted}. Is the base URL that of {self.hook_name}?"
        )
        return unexpected(request, text, response.status)

    def list_place(self, job_id: str) -> tuple[str, str] | None:
        """
        Return the list in which the vendor shows a job, and the key by which it is named there.

        Waits whose jobs stand in the same list read it together. None, the default, for no list.

        :raises SettingsError: an id of the wrong form.
        """
        return None

    def list_flow(self, name: str) -> Flow[Listing]:
        """
        Read a list of jobs.

        :param name: from :meth:`list_place`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no list {name!r}")

    def job_list_flow(self, name: str) -> Flow[Listing]:
        """Read a list of jobs with credentials: ready for a transport."""
        return self.with_credentials(self.list_flow(name))

    def listed_status(self, job_id: str, listed: Listed) -> JobStatus:
        """Return what a list tells of a job. Its end is to be confirmed by the job's own status."""
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

    def job_status_flow(self, job_id: str) -> Flow[JobStatus]:
        """Ask for a job's status with credentials: ready for a transport."""
        sent = Shown()
        replies: list[Response] = []
        try:
            status = yield from self.with_credentials(self.status_flow(job_id), sent, replies)
        except VendorError as error:
            if replies:
                self._judge(error, replies[-1])
            raise
        if replies:
            status.retry_after = retry_after(replies[-1])
        # A word of ours has nothing to hide; one of the user's might be the key itself.
        if status.job_id == job_id and status.vendor_status in self.statuses and status.detail is None:
            return status
        secrets = secrets_of(self.auth, sent)
        # A vendor may echo what we sent, also in the explanation of a failure.
        word = clean(redact(status.vendor_status, secrets), 80)
        detail = None if status.detail is None else clean(redact(status.detail, secrets))
        return replace(status, job_id=job_id, vendor_status=word, detail=detail)

    def _judge(self, error: VendorError, response: Response) -> None:
        """Note what else the reply behind an error tells."""
        if error.retry_after is None:
            error.retry_after = retry_after(response)
        if isinstance(error, (NotFound, RequestRejected)) and error.status == response.status:
            error.own = response.status != HTTPStatus.MISDIRECTED_REQUEST and self.is_own_error(response)

    def is_own_error(self, response: Response) -> bool:
        """
        Whether an error has the form in which the vendor sends them. One that has not is of a proxy or a
        firewall, and counts only when it is seen twice. By default any JSON object has.
        """
        return bool(json_object(response.body))

    def job_status(self, job_id: str) -> JobStatus:
        """
        Ask once for a job's status.

        :param job_id: in the form that the vendor's hook documents.
        :raises VendorError: no usable answer.
        :raises SettingsError: connection or id unusable; nothing was sent.
        """
        return self.call(self.job_status_flow(job_id))

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection with one harmless authenticated read; Airflow's page has a button for it."""
        try:
            return True, self.call(self.with_credentials(self.ping_flow()))
        except (VendorError, SettingsError) as error:
            if isinstance(error, VendorError):
                error.conn_id = ""
            # Airflow tries the form by a name of its own, which tells nothing.
            return False, clean(str(error).replace(f"connection {self.conn_id!r}", "this connection"))

    def known_state(self, word: str) -> JobState | None:
        """Return the state that a word means, to this vendor or to the connection, or None."""
        return self._words.state(word)

    def read_word(self, request: Request, word: object) -> str:
        """
        Return a reply's status word.

        :raises UnexpectedResponse: there is none, an empty one, or one that cannot be shown as it is:
            cleaned, it might become a word that the vendor did not say.
        """
        if not isinstance(word, str):
            raise unexpected(request, "answered without a status word")
        if clean(word) != word.strip():
            raise unexpected(request, f"answered a status that is no word: {clean(word, 80)!r}")
        if not word.strip():
            empty = f"''; extra 'statuses' of connection {self.conn_id!r} cannot explain an empty one"
            raise unexpected(request, f"answered the unknown status {empty}")
        return word.strip()

    def read_state(self, request: Request, word: object) -> tuple[str, JobState]:
        """
        Return a reply's status word and the state it means.

        :raises UnexpectedResponse: no word, or one that neither this vendor nor the connection knows.
        """
        word = self.read_word(request, word)
        state = self.known_state(word)
        if state is None:
            raise unexpected(
                request,
                f"answered the unknown status {clean(word, 80)!r}; if you know what it means, say so in "
                f"extra 'statuses' of connection {self.conn_id!r}",
            )
        return word, state

    def check_id(self, request: Request, asked: str, answered: object) -> None:
        """
        Refuse the status of another job. An answer without an id passes.

        :raises UnexpectedResponse: it names another job than the one that was asked for.
        """
        if answered is None:
            return
        # A container might take long to show.
        if not isinstance(answered, (str, int)) or str(answered) != asked:
            raise unexpected(request, f"answered for the job {clean(answered, 80)!r}")
