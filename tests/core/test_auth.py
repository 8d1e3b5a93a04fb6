"""Credentials as flows around flows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.auth import Auth, ExchangedToken, HeaderKey, origin
from airflow_provider_jobstatus.core.errors import AccessDenied, ServerError, TransportError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.operation import Conversation, Credentials, Operation, conversation
from airflow_provider_jobstatus.core.responses import expect
from airflow_provider_jobstatus.core.tokens import (
    DEFAULT_TOKEN_LIFE,
    TOKEN_LIFE_BOUNDS,
    Exchange,
    Token,
    TokenSlot,
    token_life,
    token_slot,
)
from tests.support.values import anything, converse, hostile_text

BASE = "https://api.example/v1"
GOOD = Response(200, body=b"good")
REFUSED = Response(401, body=b"refused")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def holding(token: str) -> TokenSlot:
    """Return a slot with a token that is valid for an hour."""
    slot = TokenSlot(Clock())
    slot.store(Token(token, 3600.0))
    return slot


def log_in() -> Flow[Token]:
    yield Request("vendor", "POST", "https://login.example/token")
    return Token("unused", 60.0)


def get(url: str = f"{BASE}/job", method: str = "GET", **parts: Any) -> Request:
    return Request("vendor", method, url, **parts)


def ask(*requests: Request) -> Flow[list[bytes]]:
    bodies = []
    for request in requests:
        response = yield request
        bodies += [expect(request, response).body]
    return bodies


def authorized(flow: Flow[Any], auth: Auth, base_url: str, conn_id: str = "") -> Conversation[Any]:
    return conversation(Operation(lambda: flow), Credentials(auth, base_url, conn_id))


def exchanged(slot: TokenSlot, *secrets: str) -> ExchangedToken:
    return ExchangedToken(slot, log_in, secrets or ("password",))


def tokens_of(steps: list[Any]) -> list[str | None]:
    return ["exchange" if isinstance(step, Exchange) else step.headers.get("Authorization") for step in steps]


# The life of a token


@given(st.one_of(anything, hostile_text))
def test_a_life_is_within_its_bounds_whatever_the_vendor_says(value: object) -> None:
    life = token_life(value)
    shortest, longest = TOKEN_LIFE_BOUNDS
    assert shortest <= life <= longest


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        *((3600, 3600.0), ("3600", 3600.0), (59.5, 59.5), (1, 5.0), (10**9, 86_400.0)),
        *((float("inf"), 86_400.0), (None, DEFAULT_TOKEN_LIFE), (0, DEFAULT_TOKEN_LIFE)),
        *((-1, DEFAULT_TOKEN_LIFE), (float("nan"), DEFAULT_TOKEN_LIFE), (10**400, DEFAULT_TOKEN_LIFE)),
        *(("soon", DEFAULT_TOKEN_LIFE), ("", DEFAULT_TOKEN_LIFE), ([], DEFAULT_TOKEN_LIFE)),
        ({}, DEFAULT_TOKEN_LIFE),
    ],
)
def test_a_life_is_what_the_vendor_says_if_that_makes_sense(expires_in: object, life: float) -> None:
    assert token_life(expires_in) == life


@pytest.mark.parametrize(("life", "good_for"), [(3600.0, 3540.0), (300.0, 240.0), (100.0, 80.0), (5.0, 4.0)])
def test_a_token_is_renewed_ahead_of_its_end(life: float, good_for: float) -> None:
    clock = Clock()
    slot = TokenSlot(clock)
    assert slot.token is None
    assert slot.store(Token("t", life)) == "t"
    clock.now += good_for - 0.5
    assert slot.token == "t"
    clock.now += 0.5
    assert slot.token is None


@given(st.floats(*TOKEN_LIFE_BOUNDS))
def test_no_token_is_used_past_its_end_and_most_of_it_is_used(life: float) -> None:
    clock = Clock()
    slot = TokenSlot(clock)
    slot.store(Token("t", life))
    clock.now += life * 0.79
    assert slot.token == "t"
    clock.now = 1000.0 + life
    assert slot.token is None


def test_only_the_token_that_was_refused_is_forgotten() -> None:
    slot = holding("new")
    slot.forget("old")
    slot.forget(None)
    assert slot.token == "new"
    slot.forget("new")
    assert slot.token is None
    slot.forget("new")


def test_one_login_has_one_slot_and_another_has_another() -> None:
    assert token_slot("url", "user", "secret") is token_slot("url", "user", "secret")
    logins = [
        ("url", "user", "secret"),
        ("url", "user", "other"),
        ("url", "users", "ecret"),
        ("url", "user\ud800", "s"),
    ]
    assert len({id(token_slot(*login)) for login in logins}) == len(logins)


def test_a_secret_is_shown_by_no_repr() -> None:
    slot = TokenSlot()
    slot.store(Token("hidden-token", 60.0))
    for value in (
        Token("hidden-token", 60.0),
        slot,
        Exchange(slot, log_in),
        exchanged(slot, "hidden"),
        HeaderKey("X", "hidden"),
    ):
        assert "hidden" not in repr(value)


# Keys and tokens on requests


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (HeaderKey("X-Api-Key", "k"), {"X-Api-Key": "k"}),
        (HeaderKey("Authorization", "k", scheme="Bearer"), {"Authorization": "Bearer k"}),
    ],
)
def test_a_key_is_a_header_and_stays_one(auth: HeaderKey, header: dict[str, str]) -> None:
    steps, result = converse(authorized(ask(get(headers={"A": "b"})), auth, BASE), [GOOD])
    assert [step.headers for step in steps] == [{"A": "b", **header}]
    assert result == [b"good"]
    assert auth.secrets == ("k",)
    assert not auth.renewable(REFUSED)


def test_a_refused_key_is_not_tried_again() -> None:
    steps, result = converse(authorized(ask(get()), HeaderKey("X", "k"), BASE), [REFUSED])
    assert len(steps) == 1
    assert type(result) is AccessDenied


LOGIN_DOWN = ServerError("login down", vendor="vendor")


@pytest.mark.parametrize(
    ("held", "answers", "shown", "end"),
    [
        (None, ["t1", GOOD], ["exchange", "Bearer t1"], [b"good"]),
        ("t1", [GOOD], ["Bearer t1"], [b"good"]),
        ("t1", [REFUSED, "t2", GOOD], ["Bearer t1", "exchange", "Bearer t2"], [b"good"]),
        ("t1", [REFUSED, "t2", REFUSED], ["Bearer t1", "exchange", "Bearer t2"], AccessDenied),
        (None, [LOGIN_DOWN], ["exchange"], LOGIN_DOWN),
    ],
)
def test_a_token_is_exchanged_first_and_renewed_once_after_a_refusal(
    held: str | None, answers: list[Any], shown: list[str], end: Any
) -> None:
    slot = TokenSlot(Clock()) if held is None else holding(held)
    request = get(method="POST", body=b"body", headers={"A": "b"})
    steps, result = converse(authorized(ask(request), exchanged(slot), BASE), answers)
    assert tokens_of(steps) == shown
    assert result == end or type(result) is end
    for step, token in zip(steps, shown, strict=True):
        if token == "exchange":
            assert step.slot is slot
            assert next(step.flow()).url == "https://login.example/token"
        else:
            assert step == request.with_headers({"Authorization": token})


def test_a_token_that_ends_between_two_requests_of_a_flow_is_renewed() -> None:
    clock = Clock()
    slot = TokenSlot(clock)
    slot.store(Token("t1", 100.0))
    flow = authorized(ask(get(), get()), exchanged(slot), BASE)
    assert tokens_of([next(flow)]) == ["Bearer t1"]
    clock.now += 80
    assert isinstance(flow.send(GOOD), Exchange)
    assert tokens_of([flow.send("t2")]) == ["Bearer t2"]


def test_a_token_that_somebody_else_has_renewed_is_taken_without_an_exchange() -> None:
    slot = holding("t1")
    flow = authorized(ask(get()), exchanged(slot), BASE)
    next(flow)
    slot.store(Token("t2", 3600.0))
    assert tokens_of([flow.send(REFUSED)]) == ["Bearer t2"]


def test_every_request_of_a_flow_may_be_repeated_once() -> None:
    slot = holding("t1")
    flow = authorized(ask(get(), get()), exchanged(slot), BASE)
    steps = [next(flow), flow.send(REFUSED)]
    slot.store(Token("t2", 3600.0))
    steps += [flow.send("t2"), flow.send(GOOD), flow.send(REFUSED), flow.send("t3")]
    assert tokens_of(steps) == ["Bearer t1", "exchange", "Bearer t2", "Bearer t2", "exchange", "Bearer t3"]
    with pytest.raises(StopIteration) as stopped:
        flow.send(GOOD)
    assert stopped.value.value == [b"good", b"good"]


@pytest.mark.parametrize(
    ("status", "renewed"), [(401, True), (403, False), (400, False), (500, False), (200, False)]
)
def test_a_refusal_is_a_401_unless_the_vendor_means_another_status(status: int, renewed: bool) -> None:
    slot = holding("t1")
    auth = exchanged(slot)
    converse(authorized(ask(get()), auth, BASE), [GOOD])
    assert auth.renewable(Response(status)) is renewed
    assert slot.token == (None if renewed else "t1")
    also_403 = ExchangedToken(slot, log_in, (), frozenset({401, 403}))
    assert also_403.renewable(Response(403))


# Where credentials go

ELSEWHERE = [
    *("http://api.example/v1/job", "https://api.example:444/v1/job", "https://api.example.evil/v1/job"),
    *("https://evil.example/v1/job", "https://api.example@evil.example/v1/job"),
    *("https://api.example:443@evil.example/", "https://evil.example\\@api.example/v1/job"),
    *("https://evil.example/https://api.example/", "https://api.example\t.evil/"),
    *(" https://api.example/v1/job", "https://api.example/v1/a b", "https://[::1"),
    *("https://api.example:port/", "https://api.example:99999/", "//api.example/v1/job"),
    *("file:///api.example/v1/job", "nonsense", ""),
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_credential_is_not_sent_to_another_origin(url: str) -> None:
    slot = holding("t1")
    for auth in (HeaderKey("X-Key", "k"), exchanged(slot)):
        request = get(url, headers={"A": "b"})
        steps, _ = converse(authorized(ask(request), auth, BASE), [REFUSED])
        assert steps == [request]
    assert slot.token == "t1"


@pytest.mark.parametrize(
    "url",
    [
        *(f"{BASE}/job", "https://api.example", "https://api.example:443/other"),
        *("HTTPS://API.EXAMPLE/v1/job?a=b#c", "https://api.example/a%5Cb"),
    ],
)
def test_a_credential_is_sent_to_the_connections_own_origin(url: str) -> None:
    steps, _ = converse(authorized(ask(get(url)), HeaderKey("X-Key", "k"), BASE), [GOOD])
    assert [step.headers for step in steps] == [{"X-Key": "k"}]


def test_a_redirect_target_gets_no_credential_and_the_way_back_gets_one() -> None:
    requests = [get(), get("https://storage.example/file?signature=s"), get(f"{BASE}/done")]
    steps, result = converse(authorized(ask(*requests), HeaderKey("X-Key", "k"), BASE), [GOOD] * 3)
    assert [step.headers for step in steps] == [{"X-Key": "k"}, {}, {"X-Key": "k"}]
    assert result == [b"good"] * 3


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.example/x", ("https", "api.example", 443)),
        ("http://api.example", ("http", "api.example", 80)),
        ("http://127.0.0.1:8080/", ("http", "127.0.0.1", 8080)),
        ("https://[::1]:444/", ("https", "::1", 444)),
        ("https://user:pass@api.example/", ("https", "api.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: tuple[str, str, int]) -> None:
    assert origin(url) == expected


@given(hostile_text | st.text("htps:/\\@.[]%?#0123456789ab \t", max_size=30))
def test_an_origin_can_be_told_of_anything(url: str) -> None:
    assert len(origin(url)) == 3


# Errors


def test_what_goes_wrong_is_thrown_into_the_flow_which_may_go_on() -> None:
    def careful() -> Flow[bytes]:
        try:
            yield get()
        except TransportError:
            response: Response = yield get(f"{BASE}/again")
            return response.body
        return b"no error"

    broken = TransportError("no route", vendor="vendor")
    steps, result = converse(authorized(careful(), HeaderKey("X", "k"), BASE), [broken, GOOD])
    assert [step.url for step in steps] == [f"{BASE}/job", f"{BASE}/again"]
    assert steps[1].headers == {"X": "k"}
    assert result == b"good"


def test_an_error_that_a_flow_does_not_catch_leaves_it_as_it_is() -> None:
    broken = TransportError("no route", vendor="vendor")
    _, result = converse(authorized(ask(get()), HeaderKey("X", "k"), BASE), [broken])
    assert result is broken
    _, result = converse(authorized(ask(get("https://other.example/")), HeaderKey("X", "k"), BASE), [broken])
    assert result is broken


def test_an_error_shows_no_secret_that_the_vendor_echoes() -> None:
    slot = holding("token-in-use")
    echo = Response(500, body=b"bad: token-in-use pass-word dG9rZW4taW4tdXNl pass%2Dword and more")
    _, result = converse(authorized(ask(get()), exchanged(slot, "pass-word"), BASE), [echo])
    assert type(result) is ServerError
    shown = f"{result} {result!r}"
    assert "and more" in shown
    for secret in ("token-in-use", "pass-word", "dG9rZW4taW4tdXNl"):
        assert secret not in shown


def test_a_reply_is_searched_for_the_token_that_its_own_request_carried() -> None:
    slot = holding("first-token-1")
    auth = exchanged(slot)
    slow = authorized(ask(get()), auth, BASE)
    next(slow)
    # Meanwhile others have renewed the token, twice.
    for token in ("second-token-2", "third-token-3"):
        slot.store(Token(token, 3600.0))
        converse(authorized(ask(get()), auth, BASE), [GOOD])
    with pytest.raises(ServerError) as caught:
        slow.send(Response(500, body=b"failed: Bearer first-token-1, third-token-3"))
    assert caught.value.reason.endswith("failed: Bearer ***, ***")


def test_a_reply_to_a_repeated_request_is_searched_for_both_of_its_tokens() -> None:
    slot = holding("first-token-1")
    refused = Response(401, body=b"first-token-1 has ended, second-token-2 is not known")
    _, result = converse(authorized(ask(get()), exchanged(slot), BASE), [REFUSED, "second-token-2", refused])
    assert type(result) is AccessDenied
    assert result.reason.endswith("*** has ended, *** is not known")


def test_the_secrets_of_a_login_are_its_own_and_the_token_last_used() -> None:
    slot = TokenSlot(Clock())
    auth = exchanged(slot, "password", "private key")
    assert auth.secrets == ("password", "private key")
    converse(authorized(ask(get()), auth, BASE), ["t1", GOOD])
    assert auth.secrets == ("password", "private key", "t1")


def test_a_login_that_failed_for_several_connections_names_to_each_its_own() -> None:
    slot = TokenSlot(Clock())
    conn_ids = ("first", "second", "third")
    flows = [authorized(ask(get()), exchanged(slot), BASE, conn_id=conn_id) for conn_id in conn_ids]
    for flow in flows:
        next(flow)
    failure: Any = AccessDenied("no login", vendor="vendor", status=401)
    failure.login = True
    slot.failed(failure)
    caught = []
    for flow in flows:
        with pytest.raises(AccessDenied) as raised:
            flow.throw(failure)
        # What the vendor's hook adds is for this wait, and once.
        raised.value.add("a hint")
        caught.append(raised.value)
        failure = slot.failed_since(0)

    assert [error.conn_id for error in caught] == list(conn_ids)
    assert [str(error).count("a hint") for error in caught] == [1, 1, 1]
    assert all(error.login for error in caught)
    assert slot.failed_since(1) is None
