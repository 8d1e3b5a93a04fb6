"""
Operations, and how they are driven.

An *operation* is a flow with all that its caller must know of it. A *conversation* is an operation in
progress, with credentials: a generator that yields steps and is sent the answer to each. A step is a
:class:`~airflow_provider_jobstatus.core.http.Request`, answered by a response, or an
:class:`~airflow_provider_jobstatus.core.tokens.Exchange`, answered by a token. Transports drive
conversations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from airflow_provider_jobstatus.core.auth import Auth, Shown, address_secrets, same_origin, secrets_of
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    SendError,
    ServerError,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.responses import retry_after
from airflow_provider_jobstatus.core.tokens import Exchange, Token

S = TypeVar("S")
T = TypeVar("T")

Step = Request | Exchange
Answer = Response | str
#: Sent a response for each request, and a token for each exchange.
Conversation = Generator[Step, Any, T]
#: Returns the secrets of a conversation, which a reply may echo.
Secrets = Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """
    An operation of a vendor's API. Only a hook's ``call``, ``acall`` and ``open`` drive it.

    :param flow: makes the flow, anew for each time that the operation is driven.
    :param credentials: whether requests to the connection's own origin carry its credential.
    :param streamed: whether the body of a 2xx reply is left unread, for :attr:`Response.chunks`. Worker only.
    :param repeatable: whether it may be driven again when the vendor may have carried it out already: not if
        it creates something.
    :param is_own: of an operation that is not repeatable: whether a 4xx is the vendor's own, and thus proves
        that nothing was created.
    :param finish: makes the result of what the flow has returned, of the last reply, and of the secrets that
        may stand in it.
    :param blame: adds to an error what the last reply explains.
    """

    flow: Callable[[], Flow[T]]
    credentials: bool = True
    streamed: bool = False
    repeatable: bool = True
    is_own: Callable[[Response], bool] | None = None
    finish: Callable[[T, Response, Secrets], T] | None = None
    blame: Callable[[VendorError, Response], None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Credentials:
    """
    The parts of a connection that an operation needs.

    :param auth: the credential.
    :param base_url: requests to its origin carry the credential, and no others.
    :param conn_id: for the messages of errors.
    :param explain: adds to a refusal what helps against it.
    """

    auth: Auth
    base_url: str
    conn_id: str = ""
    explain: Callable[[AccessDenied], None] | None = None

    def belong_to(self, request: Request) -> bool:
        """Return whether a request carries the credential."""
        return not request.anonymous and same_origin(request.url, self.base_url)


def conversation(operation: Operation[T], credentials: Credentials | None) -> Conversation[T]:
    """
    Return the conversation of an operation: with credentials on every request to the connection's own origin,
    and on no other.

    A refused token is renewed and the request repeated, once a request, unless the refusal says when to come
    again; of an operation that is not repeatable, only after a 401 or a refusal of the vendor's own. An error
    that the flow raises is shown without our secrets.

    :param credentials: None for an operation without.
    """
    sent = Shown()
    response: Response | None = None
    answer: Response | VendorError | None = None
    flow = operation.flow()
    try:
        while True:
            request = resume(flow, answer)
            try:
                if credentials is not None and credentials.belong_to(request):
                    response = yield from _with_credential(request, credentials.auth, sent, operation)
                else:
                    signature = address_secrets(request.url) if request.anonymous else ()
                    sent += signature
                    sent.requests += 1
                    response = yield request
                    if signature:
                        response = replace(response, secrets=(*response.secrets, *signature))
                sent += response.secrets
                answer = response
            except VendorError as error:
                answer = error
    except StopIteration as stop:
        result: T = stop.value
        if operation.finish is None or response is None:
            return result
        auth = None if credentials is None else credentials.auth
        return operation.finish(result, response, partial(secrets_of, auth, sent))
    except VendorError as error:
        if operation.blame is not None and response is not None:
            operation.blame(error, response)
        if not operation.repeatable and not _certainly_undone(error, sent.requests, operation, response):
            error.repeatable = False
        if credentials is not None:
            error.redact(secrets_of(credentials.auth, sent))
            error.conn_id = credentials.conn_id
            if isinstance(error, AccessDenied) and credentials.explain is not None:
                credentials.explain(error)
        raise


def log_in(exchange: Exchange, failures: int) -> Conversation[Token]:
    """
    Return the conversation of a login; a failure is kept for the calls that are queued for the same login.

    :param failures: of the slot, when this call was queued.
    :raises VendorError: the login has failed, or another one has since then, which is not repeated.
    """
    if (earlier := exchange.slot.failed_since(failures)) is not None:
        raise earlier
    try:
        return (yield from conversation(Operation(exchange.flow, credentials=False), None))
    except VendorError as error:
        exchange.slot.failed(error)
        raise


def resume(flow: Generator[S, Any, Any], answer: object) -> S:
    """
    Return the next step of a flow or of a conversation.

    :param answer: to the step before, None to begin; a :class:`VendorError` is thrown in.
    """
    return flow.throw(answer) if isinstance(answer, VendorError) else flow.send(answer)


def _with_credential(
    request: Request, auth: Auth, sent: Shown, operation: Operation[Any]
) -> Conversation[Response]:
    """Return the reply to a request that carries the credential, repeated if its token has ended."""
    for last in (False, True):
        headers = auth.headers()
        if isinstance(headers, Exchange):
            headers = yield from headers.headers()
        sent.add(headers)
        sent.requests += 1
        response: Response = yield request.with_headers(headers)
        undone = operation.repeatable or _did_nothing(response, operation)
        if last or not undone or not auth.renewable(response) or retry_after(response):
            break
        # What was refused did no work: the request counts once.
        sent.requests -= 1
    return response


def _certainly_undone(
    error: VendorError, requests: int, operation: Operation[Any], response: Response | None
) -> bool:
    """
    Return whether the vendor has carried out nothing of an operation.

    :param requests: how many it took.
    :param response: the last one.
    """
    if requests == 0 or (requests == 1 and isinstance(error, SendError)):
        return True
    refused = isinstance(error, ApiError) and not isinstance(error, ServerError)
    return requests == 1 and refused and response is not None and _did_nothing(response, operation)


def _did_nothing(response: Response, operation: Operation[Any]) -> bool:
    """
    Return whether a refusal proves that nothing was carried out: one in the vendor's own form, or a 401 that
    names a scheme or says nothing. A gateway may put its page in the place of what the vendor has said.
    """
    own = operation.is_own
    bare = not response.body.strip() or "www-authenticate" in response.headers
    return (response.status == HTTPStatus.UNAUTHORIZED and bare) or own is None or own(response)
