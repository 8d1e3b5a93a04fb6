"""The fields of a connection's extra, each checked where it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.validators import credential_text, settings_error

if TYPE_CHECKING:
    from airflow.sdk import Connection

N = TypeVar("N", float, float | None, int | None)

#: A field's name as a person would write it; a key has digits in it, or is longer.
_NAME = re.compile(r"[A-Za-z]{1,16}(?:[_ -][A-Za-z]{1,16}){0,3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUSES_FIX = 'give a JSON object such as {"Paused": "running"}'

#: Fields of the extra that every vendor's connection has.
COMMON_FIELDS = frozenset(
    {
        *("statuses", "timeout", "verify", "allow_http", "requests_per_second", "burst"),
        *("refusal_grace", "lists"),
    }
)


def extra_of(connection: Connection) -> Mapping[str, Any]:
    """
    Return a connection's extra.

    :raises SettingsError: it is no JSON object.
    """
    # Not extra_dejson: it masks with a call that blocks an event loop, and takes broken JSON for empty.
    text = (connection.extra or "").strip()
    try:
        extra = load_json(text) if text else {}
    except ValueError as problem:
        error = settings_error(connection.conn_id, "extra", f"is no JSON: {problem}", "give a JSON object")
        raise error from None
    if not isinstance(extra, dict):
        kind = type(extra).__name__
        raise settings_error(connection.conn_id, "extra", f"is a JSON {kind}", "give a JSON object")
    return extra


@dataclass(frozen=True)
class ExtraFields:
    """
    The extra of a connection.

    :param conn_id: of the connection.
    :param extra: as it is.
    """

    conn_id: str
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, kw_only=True)

    def error(self, field_name: str, problem: str, fix: str) -> SettingsError:
        """Return the error for a field that cannot be used."""
        return settings_error(self.conn_id, field_name, problem, fix)

    def text(self, key: str, multiline: bool = False) -> str | None:
        """
        Return a text, stripped, or None if it is not set.

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
        Return whether a field is true, as JSON or a form has it; of one that is not set the default.

        :raises SettingsError: it is neither true nor false.
        """
        value = self.extra.get(key)
        if isinstance(value, str) and value.strip().lower() in ("true", "false", ""):
            value = {"true": True, "false": False}.get(value.strip().lower())
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"extra {key!r}", f"is {clean(value, 40)!r}", "give true or false")
        return value

    def number(self, key: str, check: Callable[[object], N | None], default: N) -> N:
        """
        Return a number, or the default if it is not set.

        :param check: of :mod:`airflow_provider_jobstatus.hooks.validators`.
        :raises SettingsError: ``check`` refuses it.
        """
        try:
            number = check(self.extra.get(key))
        except ValueError as problem:
            raise self.error(f"extra {key!r}", str(problem), "give a number, such as 60") from None
        return default if number is None else number

    def states(self) -> Mapping[str, JobState]:
        """
        Return the vendor words that the user adds or changes: an object, or the same as its JSON.

        :raises SettingsError: no such object, or an unknown state.
        """
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

    def authorities(self) -> str | None:
        """
        Return the path of a file of certificate authorities, or None for the environment's.

        :raises SettingsError: it would switch certificate checks off, or is no path.
        """
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

    def strays(self, known: frozenset[str] | None) -> tuple[str, ...]:
        """
        Return the fields that nothing reads, as they may be shown.

        :param known: what the extra may hold besides :data:`COMMON_FIELDS`; None for anything.
        """
        strays = () if known is None else sorted(set(self.extra) - known - COMMON_FIELDS)
        # In a URI, the rest of a password after a question mark that was not quoted.
        return tuple(
            repr(stray) if _NAME.fullmatch(stray) else "with a name that is none (not shown)"
            for stray in strays
        )
