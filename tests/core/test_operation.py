"""Operations as values: what goes with one, and what is noted in its errors."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from airflow_provider_jobstatus.core.auth import ExchangedToken, HeaderKey
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.operation import Credentials, Operation, conversation, log_in
from airflow_provider_jobstatus.core.responses import expect, expect_json
from airflow_provider_jobstatus.core.tokens import Exchange, Token, TokenSlot
from tests.support.values import converse

BASE = "https://api.example/v1"
KEY = Credentials(HeaderKey("X-Key", "secret-1"), BASE, "mine")
GOOD = Response(200, {}, b"{}")


def submit(*paths: str) -> Flow[Any]:
    """Create something, by one request for each path."""
    for path in paths or ("/jobs",):
        request = Request("vendor", "POST", BASE + path, body=b"rows")
        answer = expect_json(request, (yield request))
    return answer


def once(*paths: str) -> Operation[Any]:
    return Operation(partial(submit, *paths), repeatable=False)


def failed(kind: type[VendorError], **facts: Any) -> VendorError:
    return kind("failed", vendor="vendor", **facts)


def test_an_operation_is_driven_anew_as_often_as_need_be() -> None:
    operation = Operation(submit)
    assert [converse(conversation(operation, KEY), [GOOD])[1] for _ in range(2)] == [{}, {}]


def test_an_operation_without_credentials_carries_none() -> None:
    (request,), _ = converse(conversation(Operation(submit), None), [GOOD])
    assert request.headers == {}
    (request,), _ = converse(conversation(Operation(submit), KEY), [GOOD])
    assert request.headers == {"X-Key": "secret-1"}


@pytest.mark.parametrize(
    ("answer", "repeatable"),
    [
        (failed(SendError), True),
        (Response(429), True),
        (Response(400), True),
        (Response(401), True),
        (Response(404), True),
        # Here it may have been done.
        (failed(TransportError), False),
        (Response(500), False),
        (Response(408), False),
        (Response(200, {}, b"<html>"), False),
        (Response(302, {"location": "/login"}), False),
    ],
)
def test_what_creates_something_is_repeated_only_where_it_is_certain_that_nothing_was_done(
    answer: Any, repeatable: bool
) -> None:
    _, error = converse(conversation(Operation(submit), KEY), [answer])
    assert error.repeatable
    _, error = converse(conversation(once(), KEY), [answer])
    assert error.repeatable is repeatable


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_refusal_of_something_else_than_the_vendor_proves_nothing_but_for_a_plain_401(status: int) -> None:
    foreign = Operation(submit, repeatable=False, is_own=lambda response: response.body == b"{}")
    answers = [
        (Response(status, {}, b"<html>"), False),
        (Response(status), status == 401),
        (Response(status, {"www-authenticate": "Bearer"}, b"<html>"), status == 401),
        (Response(status, {}, b"{}"), True),
    ]
    for answer, certain in answers:
        _, error = converse(conversation(foreign, KEY), [answer])
        assert error.repeatable is certain


@pytest.mark.parametrize(
    ("body", "further", "certain"), [(b"{}", ["new", failed(SendError)], True), (b"<html>", [], False)]
)
def test_a_submission_is_repeated_with_a_new_token_only_after_a_refusal_of_the_vendor(
    body: bytes, further: list[Any], certain: bool
) -> None:
    slot = TokenSlot()
    slot.store(Token("old", 3600.0))
    auth = ExchangedToken(slot, lambda: (_ for _ in ()), ("password",), frozenset({403}))
    operation = Operation(submit, repeatable=False, is_own=lambda response: response.body == b"{}")
    answers = [Response(403, {}, body), *further]
    steps, error = converse(conversation(operation, Credentials(auth, BASE)), answers)
    assert len(steps) == len(answers)
    assert error.repeatable is certain


@pytest.mark.parametrize("answer", [failed(SendError), Response(429), Response(500)])
def test_what_has_begun_to_create_something_is_not_begun_anew(answer: Any) -> None:
    _, error = converse(conversation(once("/jobs", "/jobs/1/start"), KEY), [GOOD, answer])
    assert not error.repeatable


def test_what_was_sent_to_another_host_may_have_been_done_too() -> None:
    def upload() -> Flow[Any]:
        request = Request("vendor", "PUT", "https://storage.example/a", body=b"rows", anonymous=True)
        return expect(request, (yield request))

    _, error = converse(conversation(Operation(upload, repeatable=False), KEY), [failed(TransportError)])
    assert not error.repeatable


def test_a_login_that_fails_has_created_nothing() -> None:
    auth = ExchangedToken(TokenSlot(), lambda: (_ for _ in ()), ("password",))
    _, error = converse(conversation(once(), Credentials(auth, BASE)), [failed(TransportError)])
    assert error.repeatable


def test_a_refusal_is_explained_by_the_hook_and_another_error_is_not() -> None:
    explained: list[VendorError] = []
    credentials = Credentials(HeaderKey("X-Key", "k"), BASE, explain=explained.append)
    _, refused = converse(conversation(Operation(submit), credentials), [Response(403)])
    converse(conversation(Operation(submit), credentials), [Response(500)])
    assert explained == [refused]
    assert type(refused) is AccessDenied


def test_an_operation_makes_its_result_of_what_the_flow_returns_and_the_last_reply() -> None:
    def finish(result: Any, reply: Response, secrets: Any) -> Any:
        return result, reply.status, secrets()

    operation = Operation(submit, finish=finish)
    _, result = converse(conversation(operation, KEY), [Response(201, {}, b"{}")])
    assert result == ({}, 201, ("secret-1",))


def test_an_error_is_noted_with_its_own_reply_if_there_was_one() -> None:
    blamed: list[tuple[VendorError, int]] = []
    operation = Operation(submit, blame=lambda error, reply: blamed.append((error, reply.status)))
    _, lost = converse(conversation(operation, KEY), [failed(TransportError)])
    assert (type(lost), blamed) == (TransportError, [])
    _, refused = converse(conversation(operation, KEY), [Response(400)])
    assert (type(refused), blamed) == (RequestRejected, [(refused, 400)])


@pytest.mark.parametrize("kind", [RateLimited, ServerError, UnexpectedResponse])
def test_an_error_names_its_connection(kind: type[VendorError]) -> None:
    def fail() -> Flow[None]:
        yield Request("vendor", "GET", BASE)
        raise kind("no, secret-1", vendor="vendor")

    _, error = converse(conversation(Operation(fail), KEY), [GOOD])
    assert (error.conn_id, error.reason) == ("mine", "no, ***")


def test_a_login_is_a_conversation_without_credentials() -> None:
    def exchange() -> Flow[Token]:
        request = Request("vendor", "POST", BASE + "/login")
        expect(request, (yield request))
        return Token("t", 60.0)

    (request,), token = converse(log_in(Exchange(TokenSlot(), exchange), 0), [GOOD])
    assert (request.headers, token) == ({}, Token("t", 60.0))
