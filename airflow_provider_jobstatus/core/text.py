"""
Text that came from outside, made safe to show, log and store.

A vendor's reply may hold control characters (log forging), NUL or lone surrogates (which Postgres refuses,
and which therefore end a whole triggerer when they stand in an event), one of our own secrets echoed back, or
ten megabytes of apology. Everything of a reply that we show passes through here.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

#: Longest text of a vendor that is quoted in an error, a log line or a result.
TEXT_LIMIT = 500
#: Longest text that is stored with an event or a result.
STORED_TEXT_LIMIT = 2000
#: Largest whole number that every JSON reader holds exactly.
MAX_INT = 2**53
#: Shorter values are too likely to be ordinary words ("test") for a blind replacement.
SHORTEST_SECRET = 6

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """
    Return ``text`` on one line, without control, bidirectional or surrogate characters, cut to ``limit``.

    :param text: anything; what is not a string is shown as its ``str``.
    :param limit: the most characters to return; a cut text ends in ``...``.
    """
    # Cut before the regular expression runs, so that a huge text costs nothing. str() of a huge int raises.
    try:
        raw = hex(text) if isinstance(text, int) and abs(text) > MAX_INT else str(text)
    except (ValueError, RecursionError):
        raw = f"<{type(text).__name__}>"
    line = _UNSAFE.sub(" ", raw[: limit * 4]).strip()
    return line if len(line) <= limit else line[: limit - 3] + "..."


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
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INT else clean(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else clean(value)
    if isinstance(value, Mapping) and depth:
        return {clean(key): storable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and depth:
        return [storable(item, depth - 1) for item in value]
    return clean(value, STORED_TEXT_LIMIT)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in ``text``, as it is, URL-encoded or in base64, by ``***``."""
    # The longest first, whosever it is: one secret may begin another.
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        text = text.replace(form, "***")
    return text


def _forms(secret: str) -> set[str]:
    if len(secret) < SHORTEST_SECRET:
        return set()
    raw = secret.encode("utf-8", "surrogatepass")
    # Base64 of a longer text that contains the secret depends on where the secret begins, modulo three bytes;
    # the characters that depend on the neighbours are left out.
    inner = [b64encode(b"\0" * shift + raw).decode()[(0, 2, 3)[shift] :] for shift in range(3)]
    encoded = [form.rstrip("=")[: -1 if form.endswith("=") else None] for form in inner]
    forms = {secret, json.dumps(secret)[1:-1], b64encode(raw).decode(), *encoded}
    forms |= {form.replace("+", "-").replace("/", "_") for form in forms - {secret}}
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    forms |= quoted | {re.sub("%..", lambda escape: escape[0].lower(), form) for form in quoted}
    return {form for form in forms if len(form) >= SHORTEST_SECRET}
