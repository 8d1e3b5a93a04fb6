"""Strict JSON: to the letter, each key once, not deep; and the time that parsing it takes."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NoReturn

#: Deepest nesting that is parsed.
MAX_JSON_DEPTH = 64
#: JSON of no more bytes is parsed in a few milliseconds, whatever it holds.
FREE_BYTES = 64 * 1024
#: Most that is parsed in one step, in nanoseconds by :func:`cost`. A parser holds the interpreter's lock, so
#: that a thread is no help; and a machine may be busy, or half as fast as the one of the measurements.
MAX_COST = 30_000_000
#: Members of an object, on average, beyond which each of them costs more.
MANY_MEMBERS = 64
#: Most characters, and ten more for each, that the numbers with a fraction or an exponent may have together
#: in a text of more than :data:`FREE_BYTES`. One takes up to 1,000 ns.
MAX_FRACTIONS = 500_000
#: Digits of a number, on average, beyond which each of them costs.
MANY_DIGITS = 64

_DIGITS = b"0123456789"
_NO_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse(text: str) -> Any:
    """
    Parse JSON without NaN and without a key that stands twice in one object.

    :param text: not nested deeper than Python's own limit.
    :raises ValueError: for everything that is wrong, with a text that quotes nothing of ``text``.
    """
    # The new objects, also those of a block of some KiB, could set off a collection of all objects there are.
    paused = gc.isenabled()
    if paused:
        gc.disable()
    try:
        return (_decoder(_Fractions()) if len(text) > FREE_BYTES else DECODER).decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    finally:
        if paused:
            gc.enable()


def without_escapes(raw: bytes) -> bytes:
    """Return JSON of the same length, in which each quote begins or ends a string."""
    # A run of backslashes is pairs, and then perhaps one that escapes what follows.
    return raw.replace(rb"\\", b"  ").replace(rb"\"", b"  ") if b"\\" in raw else raw


def brackets(outside: list[bytes]) -> bytes:
    """Return the brackets in what stands outside strings."""
    return b"".join(outside).translate(None, _NO_BRACKETS)


def deepest(marks: bytes) -> int:
    """Return how deep brackets lead below where they begin."""
    return max(accumulate(map(_STEPS.__getitem__, marks)), default=0)


def nesting(raw: bytes) -> int:
    """Return how deep JSON is nested."""
    # Two quotes next to each other go, wherever they stand: what is within a string remains within one.
    marks = without_escapes(raw).translate(None, _NO_MARKS).replace(b'""', b"")
    return deepest(brackets(marks.split(b'"')[::2]))


def cost(raw: bytes) -> int:
    """
    Return about how many nanoseconds it takes to parse JSON, counting what takes time, also within strings.

    Measured with Python 3.11: an object or array takes 230, and to see how deep it is 120; a number 60, and
    one of thousands of digits 25 for each; a member 150, but 450 where an object has a hundred thousand of
    them. Two MiB of a real list, 9,000 jobs of ten members, are 25 ms.
    """
    objects, arrays, members = raw.count(b"{"), raw.count(b"["), raw.count(b":")
    values = members + raw.count(b",")
    many_members = max(members - MANY_MEMBERS * objects, 0)
    many_digits = max(len(raw) - len(raw.translate(None, _DIGITS)) - MANY_DIGITS * values, 0)
    return 350 * (objects + arrays) + 60 * values + 90 * members + 300 * many_members + 25 * many_digits


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


class _Fractions:
    """Reads numbers with a fraction or an exponent, and no more of them than :data:`MAX_FRACTIONS`."""

    def __init__(self) -> None:
        self._left = MAX_FRACTIONS

    def __call__(self, text: str) -> float:
        self._left -= len(text) + 10
        if self._left < 0:
            raise ValueError("more values than can be parsed at once")
        return float(text)


def _decoder(parse_float: Callable[[str], float] | None = None) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_float=parse_float, parse_constant=_no_constant, object_pairs_hook=_no_duplicates
    )


DECODER = _decoder()
