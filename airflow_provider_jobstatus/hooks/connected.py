"""A hook and its connection: what it takes from it."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey, origin
from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings
from airflow_provider_jobstatus.hooks.extra_fields import COMMON_FIELDS
from airflow_provider_jobstatus.hooks.validators import misread_key

if TYPE_CHECKING:
    from airflow.sdk import Connection


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


class ConnectedHook(BaseHook):
    """
    A hook that is bound to one connection.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    #: Connection type; also the vendor's name in results and messages.
    conn_type: ClassVar[str]
    conn_name_attr: ClassVar[str] = "conn_id"
    #: The connection of a hook that is given none.
    default_conn_name: ClassVar[str] = ""
    #: The vendor's public base URL, path included, for a connection without a host.
    public_url: ClassVar[str]
    #: What the vendor grants a key, in all processes together.
    rate_limit: ClassVar[Rate] = Rate()
    #: What of the connection is shown to the vendor, as its form calls it.
    credential: ClassVar[str] = AccessDenied.credential
    #: Seconds between two polls, for a sensor that is given none.
    default_interval: ClassVar[float] = 60.0
    #: The extra's fields, besides those of every vendor; None for any.
    extra_fields: ClassVar[frozenset[str] | None] = None

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = plain(conn_id)

    @classmethod
    def fits(cls, connection: Connection) -> bool:
        """Return whether a connection is of this hook's type."""
        return connection.conn_type == cls.conn_type

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
    def read_settings(cls, connection: Connection) -> ConnectionSettings:
        """
        Return a connection, checked.

        :raises SettingsError: it cannot be used.
        """
        return ConnectionSettings.read(connection, cls.conn_type, cls.public_url, cls.extra_fields)

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read and checked. :raises SettingsError: it cannot be used."""
        return self.read_settings(read_connection(self.conn_id))

    @cached_property
    def auth(self) -> Auth:
        """The credential. :raises SettingsError: a field that it needs is missing."""
        return self.make_auth()

    @abstractmethod
    def make_auth(self) -> Auth:
        """Return the credential of this connection."""

    def shown_credential(self) -> str:
        """Return what of this very connection is shown to the vendor."""
        return self.credential

    @property
    def rate(self) -> Rate:
        """What the key may use: the connection's extra, else what the vendor documents."""
        settings, usual = self.settings, self.rate_limit
        return Rate(
            usual.per_second if settings.requests_per_second is None else settings.requests_per_second,
            usual.burst if settings.burst is None else settings.burst,
        )

    @cached_property
    def settings_digest(self) -> str:
        """The same as long as nothing changes by which a refused key might be accepted; reveals nothing."""
        settings = self.settings
        own = sorted((key, repr(value)) for key, value in settings.extra.items() if key not in COMMON_FIELDS)
        return _digest(self.conn_type, settings.base_url, settings.login, settings.password, own)

    def account(self) -> tuple[str, ...]:
        """
        Return what else than the API's origin says where the jobs of this connection are: account, region,
        site. Nothing, by default.

        :raises SettingsError: a field that it needs is missing.
        """
        return ()

    @cached_property
    def account_digest(self) -> str:
        """
        The same for connections to the same origin and :meth:`account`; reveals nothing of them.

        :raises SettingsError: a field that it needs is missing.
        """
        return _digest(self.conn_type, origin(self.settings.base_url), self.account())[:16]

    def check_account(self, digest: str) -> None:
        """
        Refuse to poll jobs of another account than a wait began with.

        :param digest: :attr:`account_digest` as it was then; empty if it was not kept.
        :raises SettingsError: it is another now.
        """
        if digest and digest != self.account_digest:
            raise SettingsError(
                f"connection {self.conn_id!r} has changed during the wait, and leads to another origin, "
                "account, region or site, which does not know these jobs, or has others by the same ids; "
                "change it back, or wait for them by a connection of their own"
            )

    @cached_property
    def key_digest(self) -> str:
        """The same for connections that hold the same key of the same vendor; reveals nothing of it."""
        settings = self.settings
        scheme, host, port = origin(settings.base_url)
        # Whatever stands in the login beside a key that is shown as it is.
        login = None if isinstance(self.auth, HeaderKey) else settings.login
        key = self.auth.secrets if isinstance(self.auth, HeaderKey) else settings.password
        return _digest(self.conn_type, scheme, host.rstrip("."), port, login, key)

    @property
    def uses_lists(self) -> bool:
        """Whether the vendor's lists of jobs may be used."""
        return self.settings.lists

    @property
    def client_kind(self) -> tuple[str | None, float]:
        """What a client is made of: CA file and time-out. Hooks that are alike in it may share one."""
        return self.settings.ca_file, self.settings.timeout

    def connection_warnings(self) -> Iterator[str]:
        """Yield what a person should know of this connection."""
        password, in_header = self.settings.password or "", False
        with suppress(SettingsError):  # is raised where the credential is needed
            in_header = isinstance(self.auth, HeaderKey)
        problem = misread_key(password) if in_header else None
        if problem is None and len(password) > 1 and password[0] == password[-1] and password[0] in "\"'`":
            problem = "stands in quotes, which are sent as part of it"
        if problem is None and (mark := next((mark for mark in password if not mark.isprintable()), None)):
            problem = f"has the invisible character U+{ord(mark):04X} in it, which is sent as part of it"
        if problem:
            yield f"connection {self.conn_id!r}: password {problem}; store it alone"
        known = (self.extra_fields or frozenset()) | COMMON_FIELDS
        for shown in self.settings.unknown:
            yield (
                f"connection {self.conn_id!r}: extra {shown} is unknown and has no effect; "
                f"there are {', '.join(sorted(known))}"
            )
        for name, reason in self.idle_extras():
            yield f"connection {self.conn_id!r}: extra {name!r} has no effect, as {reason}"

    def wait_warnings(self) -> Iterator[str]:
        """Yield what else a person should know before a wait."""
        return iter(())

    def idle_extras(self) -> Iterator[tuple[str, str]]:
        """Yield fields of the extra that another field leaves without effect, and by what."""
        return iter(())

    def cost_warning(self, calls: int) -> str | None:
        """
        Return what a person should know of the calls that a wait takes, where they cost something.

        :param calls: how many it may take until its deadline.
        """
        return None
