"""Hostile and friendly values, and a way to talk with a flow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from airflow_provider_jobstatus.core.http import Flow

#: Texts with NUL, controls, surrogates and marks that turn the reading direction.
hostile_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\0\r\n\t\x1b\x7f\x85\u200b\u200f\u2028\u202e\u2066\ufeff\ud800\udfff"),
    ),
    max_size=40,
)
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**400]),
)
#: What ``json.loads`` may return, and worse.
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, hostile_text, st.binary(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(hostile_text, st.integers(), st.none()), inner, max_size=4),
    ),
    max_leaves=12,
)
#: What JSON can say.
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc\"\\[]{},'", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)

_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def assert_storable(value: Any) -> None:
    """Fail unless every database stores ``value``, and every reader reads it."""
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    _walk(value)


def _walk(value: Any) -> None:
    if isinstance(value, str):
        assert not _UNSTORABLE.search(value)
        value.encode()
    elif isinstance(value, int):
        assert abs(value) <= 2**53
    elif isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            _walk(key)
            _walk(item)
    elif isinstance(value, list):
        for item in value:
            _walk(item)


@st.composite
def chunks_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut ``data`` anywhere, also into empty pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def every_cut(data: bytes) -> list[list[bytes]]:
    """Return ``data`` in single bytes, and in two pieces at every place."""
    pairs = [[data[:cut], data[cut:]] for cut in range(len(data) + 1)]
    return [[data[at : at + 1] for at in range(len(data))], *pairs]


def converse(flow: Flow[Any], answers: Sequence[Any]) -> tuple[list[Any], Any]:
    """
    Drive a flow with ``answers``; an exception among them is thrown in.

    :return: the steps that it took, and its result, or the exception that it ended with.
    """
    steps: list[Any] = []
    left = list(answers)
    try:
        steps.append(next(flow))
        while True:
            answer = left.pop(0)
            steps.append(flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer))
    except StopIteration as stop:
        result = stop.value
    except Exception as error:  # noqa: BLE001 - whatever the flow ends with is what the test looks at
        result = error
    assert not left, "the flow ended early"
    return steps, result
