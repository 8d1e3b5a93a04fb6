"""
Base of every vendor's hook.

A vendor's hook is its knowledge as flows, and nothing else: it says how to show a credential, how to ask for
a job's status, which word means what, and how to try a connection. This base turns that into calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.auth import Auth, HeaderKey, authorized
from airflow_provider_jobstatus.core.budget import Rate
from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing, StatusTable
from airflow_provider_jobstatus.core.replies import unexpected
from airflow_provider_jobstatus.core.text import clean, redact
from airflow_provider_jobstatus.hooks.configuration import configured_rate
from airflow_provider_jobstatus.hooks.connections import read_connection
from airflow_provider_jobstatus.hooks.fields import without_scheme
from airflow_provider_jobstatus.hooks.settings import COMMON_FIELDS, Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_jobstatus.transports.aio import AioClient
    from airflow_provider_jobstatus.transports.blocking import BlockingClient
    from airflow_provider_jobstatus.transports.environment import CallLimits

T = TypeVar("T")

#: Largest list of jobs that is read, in bytes: an event loop can spare the time for no more.
MAX_LIST_BYTES = 2 * 1024 * 1024


class BatchJobHook(BaseHook):
    """
    Base of a vendor's hook. A subclass that is registered for a connection type, by whatever provider, works
    with ``BatchJobSensor`` unchanged.

    A subclass sets the class variables, and writes :meth:`make_auth`, :meth:`status_flow` and
    :meth:`ping_flow`. Its constructor takes the connection's id as first argument, under the name in
        ``conn_name_attr``, and does no more
    than store it.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    #: Connection type; also the vendor's name in results and messages.
    conn_type: ClassVar[str]
    conn_name_attr: ClassVar[str] = "conn_id"
    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]
    #: The vendor's public base URL, path included, for a connection without a host.
    public_url: ClassVar[str]
    #: The vendor's status words.
    statuses: ClassVar[Mapping[str, JobState]]
    #: What the vendor grants a key, in all processes together.
    granted: ClassVar[Rate] = Rate()
    #: The extra's fields, besides those of every vendor; None for any.
    extra_fields: ClassVar[frozenset[str] | None] = None
    #: Epoch seconds, for a login that is signed.
    wall_clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    @classmethod
    def from_connection(cls, connection: Connection) -> Self:
        """
        Return a hook for a connection that has been read already.

        :raises SettingsError: the connection cannot be used.
        """
        hook = cls(connection.conn_id)
        hook.__dict__["settings"] = cls.read_settings(connection)
        return hook

    @classmethod
    def read_settings(cls, connection: Connection) -> Settings:
        """
        Return a connection, checked.

        :raises SettingsError: it cannot be used.
        """
        return Settings.read(connection, cls.conn_type, cls.public_url)

    @cached_property
    def settings(self) -> Settings:
        """The connection, read and checked. :raises SettingsError: it cannot be used."""
        return self.read_settings(read_connection(self.conn_id))

    @cached_property
    def auth(self) -> Auth:
        """The credential. :raises SettingsError: a field that it needs is missing."""
        return self.make_auth()

    @property
    def rate(self) -> Rate:
        """
        What the key may use: the connection's extra, else ``[jobstatus]`` of Airflow's configuration, else
        what the vendor documents.
        """
        settings, usual = self.settings, configured_rate(self.conn_type, self.granted)
        return Rate(
            usual.per_second if settings.requests_per_second is None else settings.requests_per_second,
            usual.burst if settings.burst is None else settings.burst,
        )

    @cached_property
    def key_digest(self) -> str:
        """The same for connections that hold the same key of the same vendor; tells nothing of it."""
        settings = self.settings
        key = (self.conn_type, settings.base_url, settings.login, settings.password)
        return hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def _words(self) -> StatusTable:
        return StatusTable(self.statuses).merged(self.settings.statuses)

    @abstractmethod
    def make_auth(self) -> Auth:
        """Return how this connection shows who it is."""

    @abstractmethod
    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a job's status. Credentials, retries and deadlines are not its concern.

        :param job_id: the whole id, as the user gave it.
        :raises SettingsError: an id of the wrong form, before anything is sent.
        """

    @abstractmethod
    def ping_flow(self) -> Flow[str]:
        """Make one harmless authenticated read, and say in a sentence what it showed."""

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
            clean(listed.word, 80),
            progress=listed.progress,
            known=state is not None,
        )

    def job_status_flow(self, job_id: str) -> Flow[JobStatus]:
        """Ask for a job's status with credentials: ready for a transport."""
        status = yield from self.with_credentials(self.status_flow(job_id))
        # A word of ours has nothing to hide; one of the user's might be the key itself.
        if status.job_id == job_id and status.vendor_status in self.statuses and status.detail is None:
            return status
        secrets = self.auth.secrets
        # A vendor may echo what we sent, also in the explanation of a failure.
        word = clean(redact(status.vendor_status, secrets), 80)
        detail = None if status.detail is None else clean(redact(status.detail, secrets))
        return replace(status, job_id=job_id, vendor_status=word, detail=detail)

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
            return False, clean(error)

    def with_credentials(self, flow: Flow[T]) -> Flow[T]:
        """Return ``flow`` with credentials on the requests that go to the connection's own origin."""
        return authorized(flow, self.auth, self.settings.base_url)

    def call(self, flow: Flow[T]) -> T:
        """Drive one flow on a session of its own."""
        with self.connect() as client:
            return client.run(flow)

    @contextmanager
    def connect(self) -> Iterator[BlockingClient]:
        """Open a session for any number of flows, on the worker."""
        from airflow.sdk.log import mask_secret

        from airflow_provider_jobstatus.transports.blocking import BlockingClient

        with BlockingClient(self._limits(), self._ca_file(), mask_secret) as client:
            yield client

    @asynccontextmanager
    async def aconnect(self) -> AsyncIterator[AioClient]:
        """Open a session for any number of flows, in an event loop."""
        from airflow_provider_jobstatus.transports.aio import AioClient

        ca_file = await asyncio.to_thread(self._ca_file)
        async with AioClient(self._limits(), ca_file, _compat.amask_secret) as client:
            yield client

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, **parts: Any
    ) -> Request:
        """
        Return a request to the vendor's API.

        :param path: after the base URL, begins with a slash, already quoted.
        :param query: names and values, unquoted.
        :param parts: further fields of :class:`~airflow_provider_jobstatus.core.http.Request`.
        """
        url = self.settings.base_url + path + (f"?{urlencode(query)}" if query else "")
        return Request(self.conn_type, method, url, **parts)

    def known_state(self, word: str) -> JobState | None:
        """Return the state that a word means, to this vendor or to the connection, or None."""
        return self._words.state(word)

    def read_word(self, request: Request, word: object) -> str:
        """
        Return a reply's status word.

        :raises UnexpectedResponse: there is none, or one that cannot be shown as it is: cleaned, it might
            become a word that the vendor did not say.
        """
        if not isinstance(word, str):
            raise unexpected(request, "answered without a status word")
        if clean(word) != word.strip():
            raise unexpected(request, f"answered a status that is no word: {clean(word, 80)!r}")
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
        if answered is not None and str(answered) != asked:
            raise unexpected(request, f"answered for the job {clean(answered, 80)!r}")

    def caveats(self) -> Iterator[str]:
        """Yield what a person should know before a wait on this connection."""
        password, in_header = self.settings.password or "", False
        with suppress(SettingsError):  # is raised where the credential is needed
            in_header = isinstance(self.auth, HeaderKey)
        if in_header and without_scheme(password) != password:
            yield (
                f"connection {self.conn_id!r}: password begins with 'Bearer', which is no part of a key and "
                "is left out; store the key alone"
            )
        if self.extra_fields is not None:
            known = self.extra_fields | COMMON_FIELDS
            for stray in sorted(set(self.settings.extra) - known):
                yield (
                    f"connection {self.conn_id!r}: extra {clean(stray, 40)!r} is unknown and has no effect; "
                    f"there are {', '.join(sorted(known))}"
                )

    def _limits(self) -> CallLimits:
        from airflow_provider_jobstatus.transports.environment import CallLimits

        usual, total = CallLimits(), self.settings.timeout
        return CallLimits(total=total, connect=min(usual.connect, total), read=min(usual.read, total))

    def _ca_file(self) -> str | None:
        path = self.settings.ca_file
        if path is not None and not Path(path).is_file():
            raise self.settings.error("extra 'verify'", "names a file that is not here", "give a CA file")
        return path
