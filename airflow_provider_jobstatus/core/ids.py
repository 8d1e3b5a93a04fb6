"""Job ids: one string everywhere, checked before anything is sent."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean

#: Longest job id, all its parts together.
MAX_ID_LENGTH = 500

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PART = re.compile(r"[!-~]+")
# What ids are made of as a rule: nothing to check or to quote.
_USUAL = re.compile(rf"[A-Za-z0-9_/-]{{1,{MAX_ID_LENGTH}}}")
# A separator of paths, queries or escapes: an HTTP client or a proxy may read them as such, quoted or not.
_FORBIDDEN = re.compile(r"[/?#%\\]")


def job_id_text(value: object) -> str:
    """
    Return a job id as its text, without white space around it.

    :raises SettingsError: None, empty, the text of None, no text or number at all, far too long, or with what
        no vendor's id has: a control character, a dot segment.
    """
    if value is None:
        value = ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise SettingsError(f"job_id is a {type(value).__name__}; give a text such as '1234'")
    text = str(value).strip()
    if _USUAL.fullmatch(text) and text not in ("None", "null"):
        return text
    if not text or text in ("None", "null"):
        raise SettingsError(
            f"job_id is {text or 'empty'}: the task or template that it comes from gave none; give an id"
        )
    if len(text) > MAX_ID_LENGTH:
        raise SettingsError(f"job_id has {len(text)} characters, no job id has more than {MAX_ID_LENGTH}")
    if _CONTROL.search(text):
        raise SettingsError(f"job_id {clean(text, 80)!r} contains a line break or another control character")
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
    if not _PART.fullmatch(part):
        problem = "has a character that is no plain ASCII" if part else "is empty"
        raise SettingsError(f"{source}: the {name} {shown} {problem}")
    if _FORBIDDEN.search(part):
        raise SettingsError(f"{source}: the {name} {shown} contains one of / ? # % \\, which no id has")
    if not part.strip("."):
        raise SettingsError(f"{source}: the {name} {shown} would change the path")
    return quote(part, safe="")


def single_job_id(value: object) -> str:
    """
    Return the one job id that ``value`` stands for: its text, or the result of an earlier sensor.

    :raises SettingsError: a list, or no id.
    """
    # A list is not looked into: lists may be nested deeper than Python follows.
    if not isinstance(value, (list, tuple)):
        ids, many = job_ids(value)
        if not many:
            return ids[0]
    raise SettingsError("job_id is a list; this operator takes one job, so map it: .expand(job_id=[...])")


def job_ids(value: object) -> tuple[list[str], bool]:
    """
    Return the job ids that ``value`` stands for, and whether it is a list of them.

    :param value: an id; the dict that a sensor returned; an iterable of these, lazy ones included; or the
        text that a template makes of one, such as ``"['a', 'b']"``.
    :raises SettingsError: no id, or not one that a job can have.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("[", "{")):
            value = _literal(text)
    if isinstance(value, Mapping):
        if "job_id" not in value:
            raise SettingsError("job_id is a dict without the key 'job_id', so it is no result of a sensor")
        value = value["job_id"]
    if isinstance(value, (str, bytes, int, Mapping)) or not isinstance(value, Iterable):
        return [job_id_text(value)], False
    return [single_job_id(item) for item in value], True


def _literal(text: str) -> object:
    # Python's form is what a template renders to; JSON's is what other systems send.
    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    raise SettingsError(f"job_id looks like a list or dict, but is none: {clean(text, 80)!r}")
