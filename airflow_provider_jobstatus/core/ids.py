"""Job ids: one string everywhere, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.id_literals import Misread, read_literal
from airflow_provider_jobstatus.core.text import clean, plain

#: Longest job id, all its parts together.
MAX_ID_LENGTH = 500
#: Most ids that an iterator may give; a longer one may have no end.
MAX_ITERATED = 100_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Of a usual id nothing is to be checked or quoted.
_USUAL = re.compile(rf"[A-Za-z0-9_/-]{{1,{MAX_ID_LENGTH}}}")
# All but printable ASCII; and separators of paths, queries and escapes, which an HTTP client or a proxy may
# read as such even if they are quoted.
_FORBIDDEN = re.compile(r"[^!-~]|[/?#%\\]")
# The text that a template makes of a generator, a set, a view or a lazy sequence: no id can be read from it.
_REPR = re.compile(
    r"\A<.+ at 0x[0-9A-Fa-f]+>"
    r"|\A(?:\w*set|o?dict_\w+|deque|range|array|map|filter|zip|Lazy\w+)\(.*\)",
    re.DOTALL,
)
# What a template, a shell or a page of documentation has in place of an id.
_UNRENDERED = re.compile(r"\{\{|\{%|\{\s*[A-Za-z_][^{}]*\}|\$[A-Za-z_{(]|`[^`]*`|<[A-Za-z_][^<>]*>")
_NOTHING = frozenset({"None", "null", "undefined", "nan", "NaN"})


@dataclass(frozen=True, slots=True)
class JobId:
    """
    A job id taken apart by a vendor's hook; each vendor adds the parts.

    :param text: the whole, as the user gave it, without white space around it.
    """

    text: str

    def __str__(self) -> str:
        return self.text


def job_id_text(value: object) -> str:
    """
    Return a job id as its text, without white space around it.

    :raises SettingsError: None, empty, the text of None or of another object of Python, undefined in a
        template, no text or number at all, far too long, or with what no vendor's id has: a control or an
        invisible character, a dot segment.
    """
    if value is None:
        value = ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        if _undefined(value):
            raise SettingsError("job_id is undefined: its template names what is not there; correct the name")
        if isinstance(value, Misread):
            raise SettingsError(
                f"job_id: {clean(value.spelling, 80)!r} in a list or dict would be read as another id; put"
                " each id in quotes of its own, as in \"['{{ params.a }}', '{{ params.b }}']\""
            )
        raise SettingsError(f"job_id is a {type(value).__name__}; give a text such as '1234'")
    if not isinstance(value, str) and abs(value) >= 10**MAX_ID_LENGTH:
        raise SettingsError(f"job_id is a number of more than {MAX_ID_LENGTH} digits, which no job id has")
    # Of an enumeration, str() gives the member's name.
    text = (plain(value) if isinstance(value, str) else int.__repr__(value)).strip()
    is_nothing = not text or not _NOTHING.isdisjoint(text.split("/"))
    if _USUAL.fullmatch(text) and not is_nothing:
        return text
    if is_nothing:
        raise SettingsError(
            f"job_id is {clean(text, 80) or 'empty'}: the task or template that it comes from gave none; "
            "give an id"
        )
    if len(text) > MAX_ID_LENGTH:
        raise SettingsError(f"job_id has {len(text)} characters, no job id has more than {MAX_ID_LENGTH}")
    if _CONTROL.search(text):
        raise SettingsError(f"job_id {clean(text, 80)!r} contains a line break or another control character")
    if clean(text, MAX_ID_LENGTH) != text:
        marks = ", ".join({f"U+{ord(mark):04X}": 0 for mark in text if clean(f"a{mark}a") != f"a{mark}a"})
        raise SettingsError(f"job_id {clean(text, 80)!r} has an invisible character ({marks}); type it anew")
    if _REPR.fullmatch(text):
        raise SettingsError(
            f"job_id {clean(text, 80)!r} is the text of an object; give an id or a list of them"
        )
    if _UNRENDERED.search(text):
        raise SettingsError(
            f"job_id {clean(text, 80)!r} is a template that was not rendered; correct its names"
        )
    if any(unquote(part) in (".", "..") for part in text.split("/")):
        raise SettingsError(f"job_id {clean(text, 80)!r} would change the path, as . and .. do")
    return text


def path_segment(part: str, name: str, source: str = "job_id") -> str:
    """
    Return one part of a job id, quoted for a path.

    :param part: the part, as the user gave it.
    :param name: what to call it in a message, such as ``"siteId"``.
    :param source: where it comes from, for a message.
    :raises SettingsError: empty; more than letters, digits and punctuation of ASCII; a separator; a dot
        segment, which clients collapse.
    """
    if _USUAL.fullmatch(part) and "/" not in part:
        return part
    shown = repr(clean(part, 80))
    if not part:
        raise SettingsError(f"{source}: the {name} is empty")
    if found := _FORBIDDEN.search(part):
        mark, place = found[0], found.start() + 1
        what = "a space" if mark == " " else f"{mark!a} (U+{ord(mark):04X})"
        raise SettingsError(f"{source}: the {name} {shown} has {what} at character {place}, which no id has")
    if not part.strip("."):
        raise SettingsError(f"{source}: the {name} {shown} would change the path")
    return quote(part, safe="")


def single_job_id(value: object) -> str:
    """
    Return the one job id that ``value`` stands for: its text, or the result of an earlier sensor.

    :raises SettingsError: a list, or no id.
    """
    # The items of a list are not read: lists may be nested deeper than Python follows.
    if _items(value) is None:
        ids, many = job_ids(value)
        if not many:
            return ids[0]
    raise SettingsError("job_id is a list; this operator takes one job, so map it: .expand(job_id=[...])")


def job_ids(value: object) -> tuple[list[str], bool]:
    """
    Return the job ids that ``value`` stands for, and whether it is a list of them.

    :param value: an id; the dict that a sensor returned; an iterable of these, lazy ones included; or the
        text that a template makes of one, such as ``"['a', 'b']"``. The ids of a set are sorted.
    :raises SettingsError: no id, or not one that a job can have.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("[", "{", "('", '("')) and not text.startswith("{{"):
            value = read_literal(text)
    if isinstance(value, Mapping):
        if "job_id" not in value:
            raise SettingsError("job_id is a dict without the key 'job_id', so it is no result of a sensor")
        value = value["job_id"]
    items = _items(value)
    if items is None:
        return [job_id_text(value)], False
    ids = [single_job_id(item) for item in items]
    # The order of a set is another in each process, and the ids are read again when the task is resumed.
    return sorted(ids) if isinstance(value, (set, frozenset)) else ids, True


def lasting(value: Any) -> Any:
    """
    Return a value that names jobs in a form that reads alike each time, also in another process.

    An iterator can be read once, and a set has another order in each process: either becomes a list. Texts
    become plain ones, as a template would make something else of a member of an enumeration.

    :raises SettingsError: an iterator that may have no end.
    """
    if isinstance(value, Mapping) and "job_id" in value:
        return {**value, "job_id": lasting(value["job_id"])}
    if isinstance(value, (set, frozenset)):
        # Its items may be templates, or outputs of tasks.
        return sorted(map(plain, value), key=str)
    if isinstance(value, (Iterator, KeysView, ValuesView)) or type(value) in (list, tuple):
        items = [plain(item) for item in _items(value) or ()]
        return tuple(items) if isinstance(value, tuple) else items
    return plain(value)


def _items(value: object) -> Collection[Any] | None:
    """Return the items of a value that stands for several ids; None for any other value."""
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(value, Iterable):
        return None
    # An undefined name in a template is an empty iterable.
    if _undefined(value):
        return None
    if isinstance(value, (set, frozenset, Sequence)):
        return value
    items = list(islice(value, MAX_ITERATED + 1))
    if len(items) > MAX_ITERATED:
        raise SettingsError(f"job_id gives more than {MAX_ITERATED} ids and may have no end; give a list")
    return items


def _undefined(value: object) -> bool:
    # Jinja is not imported here.
    return any(kind.__module__.partition(".")[0] == "jinja2" for kind in type(value).__mro__)
