"""The forms in which our own secrets may stand in a text from outside."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

#: Shorter values are too likely to be ordinary words ("test") for a blind replacement.
SHORTEST_SECRET = 6
#: Shorter ones are looked for in their own case only.
SHORTEST_IN_ANY_CASE = 8
#: So many first characters identify a secret, and are replaced where a cut has left no more.
HEAD = 12
#: Forms, by their first characters.
Heads = dict[str, list[str]]

SEPARATORS = re.compile(r"[\W_]+")


class Forms(NamedTuple):
    """
    The forms of a secret.

    :param long: whether it is looked for in any case, that is in lower case in a text in lower case.
    :param itself: the secret.
    :param escaped: in base64, and, of a short one, escaped ...
    :param escaped_in_any_case: ... and in hex, and, of a long one, escaped.
    :param bare: in base64, and a short one itself, of their letters and digits alone ...
    :param bare_in_any_case: ... and so in hex, and a long one itself.
    """

    long: bool
    itself: Heads
    escaped: Heads
    escaped_in_any_case: Heads
    bare: Heads
    bare_in_any_case: Heads


@lru_cache(maxsize=64)
def forms_of(secret: str) -> Forms | None:
    # Kept, because every reply is searched for the same few secrets.
    if len(secret) < SHORTEST_SECRET:
        return None
    # A short secret in another case is too likely to be a word.
    long = len(secret) >= SHORTEST_IN_ANY_CASE
    raw = secret.encode("utf-8", "surrogatepass")
    # Undoing escapes finds these, too, unless they make other escapes with what stands before them.
    escaped = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    escaped |= {form.replace("/", "\\/") for form in escaped}
    escaped |= {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    if long:
        lower = {in_lower_case(form) for form in escaped} | {secret.upper().lower(), raw.hex()}
    else:
        escaped |= {re.sub("%..", lambda escape: escape[0].lower(), form) for form in escaped}
        lower = {raw.hex()}
    encoded = set(_base64(raw))
    encoded |= {form.replace("+", "-").replace("/", "_") for form in encoded}
    encoded |= {quote(form, safe="") for form in encoded}
    # Base64 may be made of UTF-8, UTF-16, and base64 itself.
    utf16 = (secret.encode(coding, "surrogatepass") for coding in ("utf-16-le", "utf-16-be"))
    bare = {_bare(form) for variant in (raw, *utf16, b64encode(raw)) for form in _base64(variant)}
    return Forms(
        long,
        _by_head({in_lower_case(secret) if long else secret}),
        _by_head(encoded if long else encoded | escaped),
        _by_head(lower),
        _by_head(bare if long else bare | {_bare(secret)}),
        _by_head({raw.hex(), *([in_lower_case(_bare(secret))] if long else [])}),
    )


def _by_head(forms: Iterable[str]) -> Heads:
    found: Heads = {}
    for form in forms:
        if len(form) >= SHORTEST_SECRET:
            found.setdefault(form[:HEAD], []).append(form)
    return found


def _bare(text: str) -> str:
    return SEPARATORS.sub("", text)


def _base64(raw: bytes) -> Iterator[str]:
    yield b64encode(raw).decode()
    # Of a longer text that contains the secret it depends on where the secret begins, modulo three bytes; the
    # characters that depend on the neighbours are left out.
    for shift in range(3):
        form = b64encode(b"\0" * shift + raw).decode()[(0, 2, 3)[shift] :]
        yield form.rstrip("=")[: -1 if form.endswith("=") else None]


def in_lower_case(text: str) -> str:
    """Return ``text`` in lower case, letter for letter."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
