"""The search for leaked secrets finds each of them in each form."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import urlencode

import pytest

from tests.support.canaries import FORMS, KINDS, find, leaks, make_canaries

CANARIES = make_canaries()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_planted_canary_is_found_and_no_other(kind: str, form: str) -> None:
    planted = CANARIES[kind].forms()[form]
    assert find(f"... {planted} ...".encode(), CANARIES.values()) == [kind]
    assert find(b"\0\xff" + planted.encode() + b"\0", CANARIES.values()) == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_secret_is_found_in_whatever_a_server_echoes(kind: str) -> None:
    canary = CANARIES[kind]
    for echoed in canary.echo().split(" ; "):
        # The head of a PEM or an address says nothing.
        if echoed != canary.value[:12] or canary.value == canary.mark:
            assert find(echoed.encode(), [canary]) == [kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_of_a_longer_text_is_searched_at_every_offset(kind: str, before: str) -> None:
    text = f"{before}{CANARIES[kind].mark} and more".encode()
    for encoded in (b64encode(text), urlsafe_b64encode(text), urlencode({"a": b64encode(text)}).encode()):
        assert find(encoded, CANARIES.values()) == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_json_within_json_and_other_cases_are_searched(kind: str) -> None:
    mark = CANARIES[kind].mark
    nested = json.dumps(json.dumps({"a": mark}))
    for text in (nested, mark.lower(), mark.encode().hex().upper(), mark.swapcase()):
        assert find(text.encode(), CANARIES.values()) == [kind]


def test_places_are_named_and_what_holds_nothing_is_not() -> None:
    key = CANARIES["key"]
    # One character less than the head is not a canary.
    places = {"log": b"nothing", "xcom": key.value.encode(), "cut": key.mark[:11].encode()}
    assert [leak[:2] for leak in leaks(places, CANARIES.values())] == [("xcom", "key")]


def test_the_forms_of_a_secret_differ() -> None:
    for kind in ("key", "token", "client secret", "password"):
        assert len(set(CANARIES[kind].forms().values())) == len(FORMS)
