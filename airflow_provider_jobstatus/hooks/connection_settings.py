"""What a hook takes from its connection, read once and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.validators import (
    checked_url,
    credential_text,
    not_negative,
    positive,
    positive_whole,
    settings_error,
    true_or_false,
    with_port,
    without_scheme,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

N = TypeVar("N", int, float)

#: A field's name as somebody would write it; a key has digits in it, or is longer.
_NAME = re.compile(r"[A-Za-z]{1,16}(?:[_ -][A-Za-z]{1,16}){0,3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: Fields of the extra that every vendor's connection has.
COMMON_FIELDS = frozenset(
    {
        *("statuses", "timeout", "verify", "allow_http", "requests_per_second", "burst"),
        *("refusal_grace", "lists"),
    }
)


@dataclass(frozen=True)
class ConnectionSettings:
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

    conn_id: str
    base_url: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
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
        reader = _Reader(connection)
        if connection.conn_type != conn_type:
            raise reader.error("type", f"is {connection.conn_type!r}", f"choose {conn_type!r}")
        allow_http = true_or_false(
            connection.conn_id, "allow_http", reader.extra.get("allow_http"), default=False
        )
        return cls(
            conn_id=connection.conn_id,
            base_url=reader.base_url(public_url, allow_http),
            login=reader.credential("login", connection.login),
            password=reader.credential("password", connection.password),
            extra=reader.extra,
            statuses=reader.statuses(),
            ca_file=reader.ca_file(),
            timeout=reader.timeout(),
            requests_per_second=reader.number("requests_per_second", positive),
            burst=reader.number("burst", positive_whole),
            refusal_grace=reader.refusal_grace(),
            allow_http=allow_http,
            unknown=reader.unknown(extra_fields),
            lists=true_or_false(connection.conn_id, "lists", reader.extra.get("lists"), default=True),
        )

    def error(self, field_name: str, problem: str, fix: str) -> SettingsError:
        """Return the error for a field that cannot be used."""
        return settings_error(self.conn_id, field_name, problem, fix)

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

    def text(self, key: str, multiline: bool = False) -> str | None:
        """
        Return a text of the extra, stripped, or None if it is not set.

        :param multiline: whether line breaks may stand in it.
        :raises SettingsError: it is no text, or holds a control character.
        """
        value = self.extra.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise self.error(f"extra {key!r}", f"is a {type(value).__name__}", "give a text")
        text = str(value)
        checked = credential_text(
            self.conn_id, f"extra {key!r}", re.sub(r"[\r\n]", " ", text) if multiline else text
        )
        return text.strip() if multiline and checked else checked

    def flag(self, key: str, default: bool) -> bool:
        """
        Return whether an extra is true, or the default if it is not set.

        :raises SettingsError: it is neither true nor false.
        """
        return true_or_false(self.conn_id, key, self.extra.get(key), default)

    def url(self, key: str, default: str) -> str:
        """
        Return a full URL of the extra, checked as the host is.

        :raises SettingsError: it cannot be used.
        """
        name = f"extra {key!r}"
        return checked_url(self.conn_id, name, self.text(key) or default, self.allow_http)


class _Reader:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.extra = self._extra()

    def error(self, field_name: str, problem: str, fix: str) -> SettingsError:
        return settings_error(self._connection.conn_id, field_name, problem, fix)

    def credential(self, name: str, value: str | None) -> str | None:
        return credential_text(self._connection.conn_id, name, value)

    def _extra(self) -> Mapping[str, Any]:
        # Not extra_dejson: it masks with a call that blocks an event loop, and takes broken JSON for empty.
        text = (self._connection.extra or "").strip()
        try:
            extra = load_json(text) if text else {}
        except ValueError as problem:
            raise self.error("extra", f"is no JSON: {problem}", "give a JSON object") from None
        if not isinstance(extra, dict):
            raise self.error("extra", f"is a JSON {type(extra).__name__}", "give a JSON object")
        return extra

    def unknown(self, extra_fields: frozenset[str] | None) -> tuple[str, ...]:
        strays = () if extra_fields is None else sorted(set(self.extra) - extra_fields - COMMON_FIELDS)
        # In a URI, the rest of a password after a question mark that was not quoted.
        return tuple(
            repr(stray) if _NAME.fullmatch(stray) else "with a name that is none (not shown)"
            for stray in strays
        )

    def statuses(self) -> Mapping[str, JobState]:
        words = self.extra.get("statuses")
        if isinstance(words, str) and words.strip():
            try:
                words = load_json(words)
            except ValueError as problem:
                raise self.error("extra 'statuses'", f"is no JSON: {problem}", _STATUSES_FIX) from None
        if not words:
            return {}
        if not isinstance(words, dict):
            raise self.error("extra 'statuses'", f"is a {type(words).__name__}", _STATUSES_FIX)
        known = tuple(state.value for state in JobState)
        for word, state in words.items():
            if not isinstance(state, str) or state not in known:
                shown = repr(clean(state, 40)) if isinstance(state, str) else clean(state, 40)
                raise self.error(
                    "extra 'statuses'",
                    f"has the unknown state {shown} for {clean(word, 40)!r}",
                    f"the states are {', '.join(known)}",
                )
        return {word: JobState(state) for word, state in words.items()}

    def ca_file(self) -> str | None:
        value = self.extra.get("verify")
        word = "" if value is None else str(value).strip().lower()
        if word in ("", "true", "1", "yes", "on"):
            return None
        if not isinstance(value, str) or word in ("false", "0", "no", "off"):
            raise self.error(
                "extra 'verify'",
                "would switch certificate checks off, which is not offered",
                "give the path of a CA file",
            )
        if "-----BEGIN" in value or _CONTROL.search(value.strip()):
            raise self.error(
                "extra 'verify'",
                "holds a certificate or a control character, and no path",
                "store the certificate in a file, and give its path",
            )
        return value.strip()

    def timeout(self) -> float:
        seconds = self.number("timeout", positive)
        return ConnectionSettings.timeout if seconds is None else seconds

    def refusal_grace(self) -> float:
        seconds = self.number("refusal_grace", not_negative)
        return ConnectionSettings.refusal_grace if seconds is None else seconds

    def number(self, key: str, check: Callable[[object], N | None]) -> N | None:
        try:
            return check(self.extra.get(key))
        except ValueError as problem:
            raise self.error(f"extra {key!r}", str(problem), "give a number, such as 60") from None

    def base_url(self, public_url: str, allow_http: bool) -> str:
        host = (self._connection.host or "").strip()
        scheme = (self._connection.schema or "").strip().lower()
        if scheme not in ("", "http", "https"):
            # A URI without a scheme for its host: what is meant as path arrives as schema. So does the rest
            # of a password behind a slash that was not quoted: no value is shown here.
            raise self.error(
                "schema",
                "(in a URI, its path) is neither http nor https",
                "give the whole address as host; in a URI, quoted: https%3A%2F%2Fapi.example.com%2Fv1, and a"
                " slash in a password as %2F",
            )
        if host and "://" not in host:
            host = f"{scheme or 'https'}://{host}"
        try:
            url = with_port(host or public_url, self._connection.port)
        except ValueError as problem:
            raise self.error("port", str(problem), "leave it empty, or give the host's") from None
        url = checked_url(self._connection.conn_id, "host", url, allow_http).rstrip("/")
        return url if urlsplit(url).path else url + urlsplit(public_url).path


_STATUSES_FIX = 'give a JSON object such as {"Paused": "running"}'
