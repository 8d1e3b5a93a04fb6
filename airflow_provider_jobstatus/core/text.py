"""
Text that came from outside, made safe to show, log and store.

A vendor's reply may hold control characters (log forging), NUL or lone surrogates (which Postgres refuses,
and which therefore end a whole triggerer when they stand in an event), one of our own secrets echoed back, or
ten megabytes of apology. Everything of a reply that we show passes through here, and through
:mod:`~airflow_provider_jobstatus.core.redaction` for our secrets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

#: Longest text of a vendor that is quoted in an error, a log line or a result.
TEXT_LIMIT = 500
#: Longest text that is stored with an event or a result.
STORED_TEXT_LIMIT = 2000
#: Most values and characters that a container may hold to be shown.
CONTAINER_LIMIT = 10_000
#: Largest whole number that every JSON reader holds exactly.
MAX_INT = 2**53

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """
    Return ``text`` on one line, without control, bidirectional or surrogate characters, cut to ``limit``.

    :param text: anything; what is not a string is shown as its ``str``, and of a container of more than
        :data:`CONTAINER_LIMIT` only the type.
    :param limit: the most characters to return; a cut text ends in ``...``.
    """
    if isinstance(text, str) and len(text) <= limit and text.isascii() and text.isprintable():
        return text.strip()
    # Cut before the regular expression runs, so that a huge text costs nothing. str() of a huge int raises.
    try:
        if not _is_small(text):
            raise ValueError
        raw = hex(text) if isinstance(text, int) and abs(text) > MAX_INT else str(text)
    except (ValueError, RecursionError):
        raw = f"<{type(text).__name__}>"
    line = _UNSAFE.sub(" ", raw[: limit * 4]).strip()
    return line if len(line) <= limit else line[: limit - 3] + "..."


def plain(value: T) -> T:
    """
    Return a text as a ``str`` and nothing more, and anything else as it is.

    A member of an enumeration of texts equals its value, and yet ``str()``, a template and an f-string make
    ``"Upload.DAILY"`` of it.
    """
    return str.__str__(value) if isinstance(value, str) else value  # type: ignore[return-value]


def _is_small(value: object) -> bool:
    """Return whether the ``str`` of what JSON holds costs little; of a string or a number it does."""
    left, containers = CONTAINER_LIMIT, [value]
    while containers:
        container = containers.pop()
        if not isinstance(container, (dict, list, tuple)):
            continue
        left -= len(container)
        if left < 0:
            return False
        for item in (*container.items(),) if isinstance(container, dict) else container:
            if isinstance(item, str):
                left -= len(item)
            else:
                containers.append(item)
    return left >= 0


def storable(value: Any, depth: int = 6) -> Any:
    """
    Return ``value`` as JSON that every database stores and every reader reads.

    A NUL or a lone surrogate in an event, NaN, or an integer of more than 64 bits ends a triggerer on
    Postgres, and every one that takes over from it. Such text is cleaned, such a number becomes text, and so
    does what is no JSON.

    :param value: anything.
    :param depth: levels of containers that are kept.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value, STORED_TEXT_LIMIT)
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INT else clean(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else clean(value)
    if isinstance(value, Mapping) and depth:
        return {clean(key): storable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and depth:
        return [storable(item, depth - 1) for item in value]
    return clean(value, STORED_TEXT_LIMIT)
