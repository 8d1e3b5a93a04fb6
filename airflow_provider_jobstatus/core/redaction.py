"""Our own secrets, found in what others say, in whichever way they write them."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import quote, quote_plus

#: Shorter values are too likely to be ordinary words ("test") for a blind replacement.
SHORTEST_SECRET = 6
#: Shorter ones are looked for in their own case only.
SHORTEST_IN_ANY_CASE = 8
#: So many first characters of a secret are its own, and are taken out where a cut has left no more.
HEAD = 12
#: Of a longer text the rest is left out: some hundred characters are shown.
MAX_TEXT = 2048
#: What to look for, by its first characters.
_Heads = dict[str, list[str]]
#: How often escapes of escapes are undone, besides those that one pass undoes together.
MAX_LAYERS = 4

# Also within JSON that escapes its slashes, or URL-encoded in another address. Each letter is read once.
_ADDRESS = re.compile(r"https?(?::(?:\\?/){2}|%3A%2F%2F)[^\s\"'<>]+", re.IGNORECASE)
_ADDRESS_MARK = re.compile(r"[/%\\&]")
_QUERY = re.compile(r"(?:\?|%3F).", re.IGNORECASE)
# What stands for one character: in JSON and programs, in a URL, in HTML. Escaped anew, the first has more
# backslashes, the second more 25, the third more "amp;".
_ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u(?P<unit>[0-9a-f]{4})|u\{(?P<point>[0-9a-f]{1,6})\}|x(?P<byte>[0-9a-f]{2}))?"
    r"|%(?:25)*(?:u(?P<web_unit>[0-9a-f]{4})|(?P<percent>[0-9a-f]{2}))"
    r"|&(?:amp;)*(?P<entity>#[0-9]{1,9}|#x[0-9a-f]{1,8}|[a-z][a-z0-9]{1,31});",
    re.IGNORECASE,
)
_BREAK = re.compile(r"(?<!\\)\\++[nrt]")
# Two units of UTF-16; the bytes of one character, each as a surrogate.
_PARTS = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\udcc2-\udcf4][\udc80-\udcbf]{1,3}")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_SEPARATORS = re.compile(r"[\W_]+")


def redact(text: str, secrets: Iterable[str]) -> str:
    """
    Replace by ``***`` every secret in ``text``, whole or cut, and the query of every address.

    A secret is found as it is, in any case, with anything between its letters and digits that is neither, in
    hex and in base64 (of UTF-8 and UTF-16, also within a longer base64 such as that of ``user:secret``), each
    of them also behind escapes of JSON, URLs and HTML, and escapes of these; and by its first :data:`HEAD`
    characters, for what cut it may have left just these. The query of an address may be its signature. Takes
    time in proportion to the length of ``text``, of which no more than :data:`MAX_TEXT` is returned.

    :param secrets: those shorter than :data:`SHORTEST_SECRET` are left alone.
    """
    text = text[:MAX_TEXT]
    # A text without room for a secret or the head of one: the usual status word, at each poll.
    known = [forms for secret in secrets if len(text) >= min(len(secret), HEAD) and (forms := _forms(secret))]
    if not known and not _ADDRESS_MARK.search(text):
        return text
    # Where each character came from takes time to follow, and most texts hold nothing.
    if not any(view.holds(known) for view in _views(_View(text))):
        return text
    # Found in the text as it came, then replaced together: one secret may begin or overlap another.
    came = _View(text, list(range(len(text))), list(range(1, len(text) + 1)))
    spans = [span for view in _views(came) for span in view.spans(known)]
    shown, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            shown += [text[end:start], "***"]
        end = max(end, stop)
    return "".join(shown) + text[end:]


class _View(NamedTuple):
    """
    A text, read in one way.

    :param text: in which all is to be found.
    :param starts: where in the text as it came each character begins ...
    :param ends: ... and ends; both empty if this is not followed.
    :param raw: whether it is the text as it came.
    """

    text: str
    starts: Sequence[int] = ()
    ends: Sequence[int] = ()
    raw: bool = True

    def holds(self, known: Iterable[_Forms]) -> bool:
        """Return whether anything is to be taken out."""
        return any(True for _ in self._addresses()) or any(
            head in text for _, heads, text in self._searches(known) for head in heads
        )

    def spans(self, known: Iterable[_Forms]) -> Iterator[tuple[int, int]]:
        """Yield where in the text as it came something is to be taken out."""
        for start, stop in self._addresses():
            yield self.starts[start], self.ends[stop - 1]
        for view, heads, text in self._searches(known):
            for head, forms in heads.items():
                start = text.find(head)
                while start >= 0:
                    stop = max(_common(text, start, form) for form in forms)
                    yield view.starts[start], view.ends[stop - 1]
                    start = text.find(head, stop)

    def _addresses(self) -> Iterator[tuple[int, int]]:
        for address in _ADDRESS.finditer(self.text):
            if query := _QUERY.search(self.text, *address.span()):
                yield query.end() - 1, address.end()

    def _searches(self, known: Iterable[_Forms]) -> Iterator[tuple[_View, _Heads, str]]:
        """Yield what is to be looked for in which text, as long as that of the view beside it."""
        bare = _replaced(self, _SEPARATORS, lambda _: "")
        lower, bare_lower = _lower(self.text), _lower(bare.text)
        for forms in known:
            if self.raw:
                yield self, forms.escaped, self.text
                yield self, forms.escaped_in_any_case, lower
            yield self, forms.itself, lower if forms.long else self.text
            yield bare, forms.bare, bare.text
            yield bare, forms.bare_in_any_case, bare_lower


def _views(came: _View) -> Iterator[_View]:
    """Yield a text as it came, then with its escapes undone, layer by layer."""
    yield came
    roots = [came]
    if _BREAK.search(came.text):
        # A backslash and an n: a line break, or the end of one escape and a letter.
        roots.append(_replaced(came, _BREAK, lambda _: " "))
        yield roots[-1]
    for view in roots:
        for _ in range(MAX_LAYERS):
            earlier, view = view, _undone(view)
            if view.text == earlier.text:
                break
            yield view


def _undone(view: _View) -> _View:
    if not view.text.isascii():
        view = _replaced(view, _FOREIGN, _plain)
    return _replaced(_replaced(view, _ESCAPE, _meaning), _PARTS, _whole)


def _replaced(view: _View, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str]) -> _View:
    if not view.starts:
        return _View(pattern.sub(meaning, view.text), raw=False)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    end = 0
    for found in pattern.finditer(view.text):
        start, new = found.start(), meaning(found)
        pieces += (view.text[end:start], new)
        starts += view.starts[end:start]
        ends += view.ends[end:start]
        starts += [view.starts[start]] * len(new)
        end = found.end()
        ends += [view.ends[end - 1]] * len(new)
    pieces.append(view.text[end:])
    return _View("".join(pieces), [*starts, *view.starts[end:]], [*ends, *view.ends[end:]], raw=False)


def _meaning(escape: re.Match[str]) -> str:
    parts: Mapping[str, str | None] = escape.groupdict()
    if (unit := parts["unit"] or parts["point"] or parts["web_unit"]) is not None:
        return chr(min(int(unit, 16), 0x10FFFF))
    if (byte := parts["byte"] or parts["percent"]) is not None:
        return bytes.fromhex(byte).decode("ascii", "surrogateescape")
    if (entity := parts["entity"]) is not None:
        return html.unescape(f"&{entity};")
    return ""  # backslashes alone


def _plain(foreign: re.Match[str]) -> str:
    # Full-width letters, for one. What becomes many letters is none of them.
    letter = normalize("NFKC", foreign[0])
    return letter if len(letter) == 1 else foreign[0]


def _whole(parts: re.Match[str]) -> str:
    found = parts[0]
    if found[0] < "\udc00":
        return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    return found.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lower(text: str) -> str:
    """Return ``text`` in lower case, letter for letter."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _common(text: str, start: int, form: str) -> int:
    """Return where ``text``, from ``start`` on, is no longer ``form``."""
    if text.startswith(form, start):
        return start + len(form)
    stop = start + HEAD
    while stop < len(text) and text[stop] == form[stop - start]:
        stop += 1
    return stop


class _Forms(NamedTuple):
    """
    What a secret looks like.

    :param long: whether it is looked for in any case, that is in lower case in a text in lower case.
    :param itself: the secret.
    :param escaped: in base64, and, of a short one, escaped ...
    :param escaped_in_any_case: ... and in hex, and, of a long one, escaped.
    :param bare: in base64, and a short one itself, of their letters and digits alone ...
    :param bare_in_any_case: ... and so in hex, and a long one itself.
    """

    long: bool
    itself: _Heads
    escaped: _Heads
    escaped_in_any_case: _Heads
    bare: _Heads
    bare_in_any_case: _Heads


@lru_cache(maxsize=64)
def _forms(secret: str) -> _Forms | None:
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
        lower = {_lower(form) for form in escaped} | {secret.upper().lower(), raw.hex()}
    else:
        escaped |= {re.sub("%..", lambda escape: escape[0].lower(), form) for form in escaped}
        lower = {raw.hex()}
    encoded = set(_base64(raw))
    encoded |= {form.replace("+", "-").replace("/", "_") for form in encoded}
    encoded |= {quote(form, safe="") for form in encoded}
    bare = {_bare(form) for variant in _variants(secret, raw) for form in _base64(variant)}
    return _Forms(
        long,
        _by_head({_lower(secret) if long else secret}),
        _by_head(encoded if long else encoded | escaped),
        _by_head(lower),
        _by_head(bare if long else bare | {_bare(secret)}),
        _by_head({raw.hex(), *([_lower(_bare(secret))] if long else [])}),
    )


def _by_head(forms: Iterable[str], shortest: int = SHORTEST_SECRET) -> _Heads:
    found: _Heads = {}
    for form in forms:
        if len(form) >= shortest:
            found.setdefault(form[:HEAD], []).append(form)
    return found


def _bare(text: str) -> str:
    return _SEPARATORS.sub("", text)


def _variants(secret: str, raw: bytes) -> Iterator[bytes]:
    """Yield what base64 may be made of: UTF-8, UTF-16, and base64 itself."""
    yield raw
    yield secret.encode("utf-16-le", "surrogatepass")
    yield secret.encode("utf-16-be", "surrogatepass")
    yield b64encode(raw)


def _base64(raw: bytes) -> Iterator[str]:
    yield b64encode(raw).decode()
    # Of a longer text that contains the secret it depends on where the secret begins, modulo three bytes; the
    # characters that depend on the neighbours are left out.
    for shift in range(3):
        form = b64encode(b"\0" * shift + raw).decode()[(0, 2, 3)[shift] :]
        yield form.rstrip("=")[: -1 if form.endswith("=") else None]
