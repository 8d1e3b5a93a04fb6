"""What a hook takes from its connection, read once and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.hooks.extra_fields import ExtraFields, extra_of
from airflow_provider_jobstatus.hooks.validators import (
    checked_url,
    credential_text,
    not_negative,
    positive,
    positive_whole,
    with_port,
    without_scheme,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection


@dataclass(frozen=True)
class ConnectionSettings(ExtraFields):
    """
    A connection, checked.

    :param conn_id: of the connection.
    :param base_url: without a slash at its end.
    :param login: or None.
    :param password: or None.
    :param extra: the connection's extra, as it is.
    :param statuses: vendor words that the user adds or changes.
    :param ca_file: file of certificate authorities, or None for the environment's.
    :param timeout: longest call, in seconds.
    :param requests_per_second: that the key may send on average, or None for what is usual.
    :param burst: requests at once after a time of rest, or None for what is usual.
    :param refusal_grace: how long credentials may be refused during a wait, in seconds.
    :param allow_http: whether a plain ``http`` address outside this machine is accepted.
    :param unknown: fields of the extra that nothing reads, as they may be shown.
    :param lists: whether the vendor's lists of jobs are used.
    """

    base_url: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    statuses: Mapping[str, JobState] = field(default_factory=dict)
    ca_file: str | None = None
    timeout: float = 60.0
    requests_per_second: float | None = None
    burst: int | None = None
    refusal_grace: float = 600.0
    allow_http: bool = False
    unknown: tuple[str, ...] = ()
    lists: bool = True

    @classmethod
    def read(
        cls,
        connection: Connection,
        conn_type: str,
        public_url: str,
        extra_fields: frozenset[str] | None = None,
    ) -> ConnectionSettings:
        """
        Read a connection.

        :param connection: Airflow's.
        :param conn_type: the type it must have.
        :param public_url: the vendor's base URL, path included, for a connection without a host.
        :param extra_fields: what the extra may hold besides :data:`COMMON_FIELDS`; None for anything.
        :raises SettingsError: names the field, what is wrong with it and the fix; never shows a secret.
        """
        conn_id = connection.conn_id
        fields = ExtraFields(conn_id, extra=extra_of(connection))
        if connection.conn_type != conn_type:
            raise fields.error("type", f"is {connection.conn_type!r}", f"choose {conn_type!r}")
        allow_http = fields.flag("allow_http", default=False)
        return cls(
            conn_id,
            _base_url(connection, fields, public_url, allow_http),
            login=credential_text(conn_id, "login", connection.login),
            password=credential_text(conn_id, "password", connection.password),
            extra=fields.extra,
            statuses=fields.states(),
            ca_file=fields.authorities(),
            timeout=fields.number("timeout", positive, cls.timeout),
            requests_per_second=fields.number("requests_per_second", positive, None),
            burst=fields.number("burst", positive_whole, None),
            refusal_grace=fields.number("refusal_grace", not_negative, cls.refusal_grace),
            allow_http=allow_http,
            unknown=fields.strays(extra_fields),
            lists=fields.flag("lists", default=True),
        )

    def required(self, field_name: str, value: str | None, fix: str) -> str:
        """
        Return ``value``.

        :raises SettingsError: it is not set.
        """
        if not value:
            strays = "".join(f"; extra {stray} is unknown" for stray in self.unknown)
            raise self.error(field_name, "is not set", f"{fix}{strays}")
        return value

    def header_key(self, field_name: str, value: str | None, fix: str) -> str:
        """
        Return ``value``, which is to stand in a header, without a ``Bearer`` that was copied with it.

        :raises SettingsError: it is not set, or has a character that no header carries.
        """
        key = self.required(field_name, without_scheme(value or ""), fix)
        if not key.isascii():
            raise self.error(field_name, "holds a character that is no plain ASCII", "copy it again")
        return key

    def at(self, base_url: str) -> ConnectionSettings:
        """Return the same settings with another base URL."""
        return replace(self, base_url=base_url)

    def url(self, key: str, default: str) -> str:
        """
        Return a full URL of the extra, checked as the host is.

        :raises SettingsError: it cannot be used.
        """
        name = f"extra {key!r}"
        return checked_url(self.conn_id, name, self.text(key) or default, self.allow_http)


def _base_url(connection: Connection, fields: ExtraFields, public_url: str, allow_http: bool) -> str:
    host = (connection.host or "").strip()
    scheme = (connection.schema or "").strip().lower()
    if scheme not in ("", "http", "https"):
        # A URI without a scheme for its host: what is meant as path arrives as schema. So does the rest
        # of a password behind a slash that was not quoted: no value is shown here.
        raise fields.error(
            "schema",
            "(in a URI, its path) is neither http nor https",
            "give the whole address as host; in a URI, quoted: https%3A%2F%2Fapi.example.com%2Fv1, and a"
            " slash in a password as %2F",
        )
    if host and "://" not in host:
        host = f"{scheme or 'https'}://{host}"
    try:
        url = with_port(host or public_url, connection.port)
    except ValueError as problem:
        raise fields.error("port", str(problem), "leave it empty, or give the host's") from None
    url = checked_url(connection.conn_id, "host", url, allow_http).rstrip("/")
    return url if urlsplit(url).path else url + urlsplit(public_url).path
