"""Our own secrets replaced in a text from outside, in whichever form they stand there."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from unicodedata import normalize

from airflow_provider_jobstatus.core.secret_forms import (
    HEAD,
    SEPARATORS,
    Forms,
    Heads,
    forms_of,
    in_lower_case,
)

#: Of a longer text the rest is left out: some hundred characters are shown.
MAX_TEXT = 2048
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


def redact(text: str, secrets: Iterable[str]) -> str:
    """
    Replace by ``***`` every secret in ``text``, whole or cut, and the query of every address.

    A secret is found as it is, in any case, with anything between its letters and digits that is neither, in
    hex and in base64 (of UTF-8 and UTF-16, also within a longer base64 such as that of ``user:secret``), each
    of them also behind escapes of JSON, URLs and HTML, and escapes of these; and by its first :data:`HEAD`
    characters, as a cut may have left only these. The query of an address may be its signature. Takes
    time in proportion to the length of ``text``, of which no more than :data:`MAX_TEXT` is returned.

    :param secrets: those shorter than :data:`SHORTEST_SECRET` are left alone.
    """
    text = text[:MAX_TEXT]
    # A text without room for a secret or the head of one: the usual status word, at each poll.
    known = [
        forms for secret in secrets if len(text) >= min(len(secret), HEAD) and (forms := forms_of(secret))
    ]
    if not known and not _ADDRESS_MARK.search(text):
        return text
    # Following where each character came from takes time, and most texts hold no secret.
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

    def holds(self, known: Iterable[Forms]) -> bool:
        """Return whether anything is to be taken out."""
        return any(True for _ in self._addresses()) or any(
            head in text for _, heads, text in self._searches(known) for head in heads
        )

    def spans(self, known: Iterable[Forms]) -> Iterator[tuple[int, int]]:
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

    def _searches(self, known: Iterable[Forms]) -> Iterator[tuple[_View, Heads, str]]:
        """Yield what is to be looked for in which text, as long as that of the view beside it."""
        bare = _replaced(self, SEPARATORS, lambda _: "")
        lower, bare_lower = in_lower_case(self.text), in_lower_case(bare.text)
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


def _common(text: str, start: int, form: str) -> int:
    """Return where ``text``, from ``start`` on, is no longer ``form``."""
    if text.startswith(form, start):
        return start + len(form)
    stop = start + HEAD
    while stop < len(text) and text[stop] == form[stop - start]:
        stop += 1
    return stop
