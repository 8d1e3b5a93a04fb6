"""The name of a file in a folder: the vendor's, made harmless, and no other job's."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote, unquote_to_bytes

from airflow_provider_jobstatus.core.text import clean

#: Longest name, in characters, all of ASCII: disks take 255 bytes, and a name may get a suffix yet.
MAX_NAME = 150
#: Length from which the last part of an id is taken for one that a name would not end in by chance.
LONG_ID = 16
#: As much of a job's id is shown.
_MAX_KEY = 80
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._ ()+=@-]")
_PACKED = r"(?:\.[A-Za-z][A-Za-z0-9]{0,5})?\.(?:gz|bz2|xz|zip|zst)"
_EXTENSION = re.compile(rf"(?<=.)(?:{_PACKED}|\.[A-Za-z0-9]{{1,8}})\Z", re.IGNORECASE | re.DOTALL)
#: A parameter of a header: a token, or a text in quotes in which a backslash may stand before any character.
_PARAMETER = re.compile(r'(?:^|;)\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
# Shown as it is; two dashes join parts.
_PLAIN_PART = re.compile(r"[a-z0-9_]+(?:-[a-z0-9_]+)*")


def file_name(content_disposition: str, default: str) -> str:
    """
    Return the name that a server gives a file, or else ``default``, made harmless.

    :param content_disposition: header of the reply; a hint (RFC 6266, section 4.3). ``filename*`` counts
        before ``filename``.
    """
    given: dict[str, str] = {}
    for name, value in _PARAMETER.findall(content_disposition):
        if value.startswith('"'):
            # Other backslashes are those of a path of Windows, whose names are not escaped.
            value = re.sub(r'\\(["\\])', r"\1", value.removeprefix('"').removesuffix('"'))
        given.setdefault(name.lower(), value.strip())
    for name in (_extended(given.get("filename*", "")), unquote(given.get("filename", "")), default):
        last = re.split(r"[/\\]", name)[-1]
        # The end is what says of which kind a file is.
        stem, extension = _split(clean(last, 1000))
        safe = _UNSAFE_NAME.sub("_", stem[: MAX_NAME - len(extension)] + extension).strip(" .")
        if safe:
            break
    return safe


def name_for_job(name: str, job_id: str) -> str:
    """
    Return ``<stem>-<job>.<ext>``, unless ``name`` carries all parts of the id, the last at its end and long
    enough to stand there for no other reason: no two jobs have a name in common. A stem with a dash in it is
    followed by two.

    An id that would not do so for sure gets its digest before it: one with capitals, which some disks do not
    tell from other letters, with what a file's name may not hold, or that is too long.

    :param name: made harmless already.
    :param job_id: the whole of it.
    """
    stem, extension = _split(name)
    *places, last = job_id.split("/")
    before = stem[: -len(last)]
    # The same number may be counted for each site.
    if (
        len(last) >= LONG_ID
        and (stem == last or stem.endswith((f"-{last}", f"_{last}")))
        and all(map(_PLAIN_PART.fullmatch, (*places, last)))
        and all(re.search(rf"(?<![^-_. ]){re.escape(place)}(?![^-_. ])", before) for place in places)
    ):
        return name
    key = _key(job_id)
    stem = stem[: MAX_NAME - len(key) - len(extension) - 2].rstrip(" .")
    # After one dash, "failures-acme" with "eu" would be "failures" with "acme-eu".
    return f"{stem}{'--' if '-' in stem else '-'}{key}{extension}"


def is_name_of_job(name: str, job_id: str) -> bool:
    """Return whether :func:`name_for_job` gives a file of this job, and of no other, this name."""
    stem, extension = _split(name)
    ends = [f"{joint}{_key(job_id)}" for joint in ("-", "--")]
    stems = [stem, *(stem.removesuffix(end) for end in ends if stem.endswith(end))]
    return any(name_for_job(given + extension, job_id) == name for given in stems if given)


def _key(job_id: str) -> str:
    parts = job_id.split("/")
    key = "--".join(parts)
    if all(map(_PLAIN_PART.fullmatch, parts)) and len(key) <= _MAX_KEY:
        return key
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:12]
    return f"{digest}-{_UNSAFE_NAME.sub('_', key)[:_MAX_KEY].strip(' .')}"


def _split(name: str) -> tuple[str, str]:
    """Return a name without its extension, and that with its dot; ``.csv.gz`` is one."""
    found = _EXTENSION.search(name)
    extension = found[0] if found else ""
    return name.removesuffix(extension), extension


def _extended(value: str) -> str:
    """Return what a value of RFC 5987 stands for, such as ``UTF-8''na%C3%AFve.csv``, or nothing."""
    charset, _, rest = value.partition("'")
    _, quote, escaped = rest.partition("'")
    try:
        return unquote_to_bytes(escaped).decode(charset) if quote else ""
    except (LookupError, ValueError):
        return ""
