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
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
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
#: Shorter ones are looked for in their own case only.
SHORTEST_IN_ANY_CASE = 8
#: So many first characters of a secret are its own, and are taken out where a cut has left no more.
HEAD = 12

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")

# Also within JSON that escapes its slashes, or URL-encoded in another address. Each letter is read once.
_ADDRESS = re.compile(r"https?(?::(?:\\?/){2}|%3A%2F%2F)[^\s\"'<>]+", re.IGNORECASE)
_QUERY = re.compile(r"(?:\?|%3F).", re.IGNORECASE)


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """
    Return ``text`` on one line, without control, bidirectional or surrogate characters, cut to ``limit``.

    :param text: anything; what is not a string is shown as its ``str``.
    :param limit: the most characters to return; a cut text ends in ``...``.
    """
    if isinstance(text, str) and len(text) <= limit and text.isascii() and text.isprintable():
        return text.strip()
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


def redact(text: str, secrets: Iterable[str]) -> str:
    """
    Replace by ``***`` every secret in ``text``, whole or cut, and the query of every address.

    A secret is found as it is, in upper and lower case, URL-encoded, escaped for JSON, in hex and in base64,
    also within a longer base64 such as that of ``user:secret``; and by its first :data:`HEAD` characters, for
    what cut it may have left just these. The query of an address may be its signature. Takes time in
    proportion to the length of ``text``.

    :param secrets: those shorter than :data:`SHORTEST_SECRET` are left alone.
    """
    # A text without room for a secret or the head of one: the usual status word, at each poll.
    forms = {form for secret in secrets if len(text) >= min(len(secret), HEAD) for form in _forms(secret)}
    if not forms and "/" not in text and "%" not in text:
        return text
    # Found in the text as it came, then replaced together: one secret may begin or overlap another.
    spans = [span for form in forms for span in _spans(text, form)]
    spans += [
        (query.end() - 1, address.end())
        for address in _ADDRESS.finditer(text)
        if (query := _QUERY.search(text, *address.span()))
    ]
    shown, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            shown += [text[end:start], "***"]
        end = max(end, stop)
    return "".join(shown) + text[end:]


def _spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Yield where ``form`` stands in ``text``, whole, or its beginning."""
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + len(form))
    head = form[:HEAD]
    if len(form) <= HEAD:
        return
    start = text.find(head)
    while start >= 0:
        stop = start + HEAD
        while stop < min(len(text), start + len(form)) and text[stop] == form[stop - start]:
            stop += 1
        yield start, stop
        start = text.find(head, stop)


@lru_cache(maxsize=64)
def _forms(secret: str) -> frozenset[str]:
    # Kept, because every reply is searched for the same few secrets.
    if len(secret) < SHORTEST_SECRET:
        return frozenset()
    raw = secret.encode("utf-8", "surrogatepass")
    spelled = {secret, *(json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))}
    spelled |= {form.replace("/", "\\/") for form in spelled}
    spelled |= {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    spelled |= {re.sub("%..", lambda escape: escape[0].lower(), form) for form in spelled}
    # A short secret in another case is too likely to be a word.
    if len(secret) >= SHORTEST_IN_ANY_CASE:
        spelled |= {form.upper() for form in spelled} | {form.lower() for form in spelled}
    # Base64 of a longer text that contains the secret depends on where the secret begins, modulo three bytes;
    # the characters that depend on the neighbours are left out.
    inner = [b64encode(b"\0" * shift + raw).decode()[(0, 2, 3)[shift] :] for shift in range(3)]
    encoded = {
        b64encode(raw).decode(),
        *(form.rstrip("=")[: -1 if form.endswith("=") else None] for form in inner),
    }
    encoded |= {form.replace("+", "-").replace("/", "_") for form in encoded}
    encoded |= {quote(form, safe="") for form in encoded}
    forms = spelled | encoded | {raw.hex(), raw.hex().upper()}
    return frozenset(form for form in forms if len(form) >= SHORTEST_SECRET)
