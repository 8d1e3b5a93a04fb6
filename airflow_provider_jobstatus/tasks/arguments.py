"""
Checks of a task's arguments: what is known when the DAG is parsed fails then, not when the task runs.

A template and the output of another task are known only when the task runs. Then the same rules hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from datetime import timedelta
from typing import Any

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import job_ids, lasting, path_segment, single_job_id
from airflow_provider_jobstatus.core.jobs import TERMINAL_STATES, JobState
from airflow_provider_jobstatus.core.text import clean, plain
from airflow_provider_jobstatus.exceptions import BadSettings

#: What any longer duration counts as, in seconds: there is no date for its end in some databases.
LONGEST = timedelta(days=3650).total_seconds()

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# "s3:/lake" and "s3//lake" would be folders of the worker.
_MISTYPED_SCHEME = re.compile(
    r"(s3a?|gs|gcs|abfss?|adl|file|local|memory|sftp|ssh)(:/?(?!/)|//)|://", re.IGNORECASE
)

_PASSWORD = re.compile(r"[A-Za-z][\w+.:-]*://[^/@]*:[^/@]*@")


def seconds(name: str, value: object) -> float:
    """
    Return a duration in seconds, :data:`LONGEST` at most.

    :raises BadSettings: it is neither a timedelta nor a number of seconds, or negative.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
        raise BadSettings(f"{name} is {_shown(value)}; give a timedelta, or seconds that are not negative")
    return float(min(number, LONGEST))


def terminal_states(name: str, values: Any) -> list[str]:
    """
    Return the words of terminal states.

    :raises BadSettings: one is no terminal state.
    """
    known = ", ".join(repr(state.value) for state in TERMINAL_STATES)
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    for state in (words := list(values)):
        if state not in list(TERMINAL_STATES):
            raise BadSettings(f"{name} has {_shown(state)}, which is no terminal state; there are {known}")
    return [JobState(word).value for word in words]


def choice(name: str, value: object, choices: Collection[str]) -> None:
    """
    Check that ``value`` is one of ``choices``.

    :raises BadSettings: it is another value.
    """
    if value not in choices:
        raise BadSettings(f"{name} is {_shown(value)}; give {' or '.join(map(repr, choices))}")


def flag(name: str, value: object) -> None:
    """
    Check that ``value`` is a bool: the text ``"false"`` would count as true.

    :raises BadSettings: it is none.
    """
    if not isinstance(value, bool):
        raise BadSettings(f"{name} is {_shown(value)}; give True or False")


def connection_id(name: str, value: object) -> None:
    """
    Check that ``value`` can be a connection's id, unless it is yet to be rendered.

    :raises BadSettings: it is no text, or empty.
    """
    if is_known(value) and not (isinstance(value, str) and value.strip()):
        raise BadSettings(f"{name} is {_shown(value)}; give the id of an Airflow connection")


def jobs(value: Any) -> Any:
    """
    Check that ``value`` can name jobs of any vendor, as far as it is not yet to be rendered.

    :param value: an id or a list of them, in each form that the sensor takes.
    :return: the same in a form that can be read more than once: a list for a set or an iterator.
    :raises BadSettings: it cannot.
    """
    try:
        value = lasting(value)
        if is_known(value):
            job_ids(value)
        elif isinstance(value, (list, tuple)):
            for item in value:
                if is_known(item) or isinstance(item, (Iterator, Set)):
                    single_job_id(item)
    except SettingsError as error:
        raise BadSettings(str(error)) from None
    return value


def job(value: Any, *, many: bool = False) -> Any:
    """
    Check that ``value`` can name one job of a vendor of this provider, unless it is yet to be rendered.

    :param many: whether it may also be a list of them.
    :return: the same, as :func:`jobs` does.
    :raises BadSettings: it cannot.
    """
    try:
        value = jobs(value) if many else lasting(value)
        if is_known(value):
            for job_id in job_ids(value)[0] if many else [single_job_id(value)]:
                for part in job_id.split("/"):
                    path_segment(part, "part")
    except SettingsError as error:
        raise BadSettings(str(error)) from None
    return value


def destination(value: Any) -> Any:
    """
    Check that ``value`` can be the place of a file, unless it is yet to be rendered.

    :param value: text, a ``Path``, an ``ObjectStoragePath`` or an ``Asset``.
    :return: the same; of an asset, the URI.
    :raises BadSettings: it is none of these, empty, a URI with a typing mistake or of another machine's file,
        or has a shell's variable in it.
    """
    # A sensor has no destination, and this module is loaded for it at each parse.
    from airflow_provider_jobstatus.files.places import destination_text, local_path, scheme_of

    text = destination_text(value)
    if text is not None and hasattr(value, "uri"):
        value = text
        if not (is_known(text) and (scheme_of(text) or text.startswith("/"))):
            raise BadSettings(
                f"destination is an Asset with the uri {_shown(text)}; give one with a whole URI"
            )
        if "." not in text.rpartition("/")[2]:
            raise BadSettings(
                f"destination is an Asset with the uri {_shown(text)}, which is no file's: Airflow drops the "
                "slash of a folder; give the folder as text, and the Asset among the outlets"
            )
    if not is_known(value if text is None else text):
        return plain(value)
    if text is not None and _PASSWORD.match(text):
        raise BadSettings(
            "destination is a URI with a password in it, which logs and XCom would show; keep it in an "
            "Airflow connection, and give its id: <scheme>://<conn_id>@..."
        )
    if text is None or not text.strip() or _CONTROL.search(text):
        raise BadSettings(f"destination is {_shown(value)}; give a path or a URI")
    if mistyped := _MISTYPED_SCHEME.match(text):
        scheme = f"{(mistyped[1] or 's3').lower()}://"
        raise BadSettings(f"destination {_shown(value)} begins with {mistyped[0]!r}; give, say, {scheme!r}")
    try:
        local_path(text)
    except SettingsError as error:
        raise BadSettings(str(error)) from None
    return plain(value)


def source(value: Any) -> Any:
    """
    Check that ``value`` can be the place of a file that is read, as :func:`destination` does.

    :return: the same; of an asset, the URI.
    :raises BadSettings: it is none, or a folder.
    """
    try:
        value = destination(value)
    except BadSettings as error:
        raise BadSettings(str(error).replace("destination", "source", 1)) from None
    if is_known(value) and str(value).strip().endswith("/"):
        raise BadSettings(f"source is {_shown(value)}, a folder; give a file")
    return value


def is_known(value: object) -> bool:
    """Return whether ``value`` is what it will be when the task runs: no template, no output of a task."""
    match value:
        case str():
            return "{{" not in value and "{%" not in value
        case None | bool() | int() | float() | bytes():
            return True
        case Mapping():
            return is_known(value.get("job_id"))
        case list() | tuple():
            # No deeper: a list in a list is refused, whatever it holds.
            return all(isinstance(item, (list, tuple)) or is_known(item) for item in value)
        case _:
            return False


def _shown(value: Any) -> str:
    return clean(repr(value), 80)
