"""The Test button is green only where the vendor itself answers: never for another server's reply."""

from __future__ import annotations

import json
import socket

import pytest

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from tests.support.flows import hook_of
from tests.support.raw_server import RawServer, Received, reply

HOOKS = {
    "aftercare": (AftercareHook, {}),
    "questionpro": (QuestionProHook, {}),
    "ruler": (RulerHook, {"site_id": "site-1"}),
    "ruler without a site": (RulerHook, {}),
    "talkdesk": (TalkdeskHook, {"account": "acme"}),
}

#: What other servers answer to an address that they do not know.
OTHERS: dict[str, object] = {
    "nothing": b"",
    "a page": b"<!doctype html><title>404</title>",
    "nginx, as JSON": {"error": "not found"},
    "Kong": {"message": "no Route matched with those values"},
    "AWS": {"message": "Missing Authentication Token"},
    "FastAPI": {"detail": "Not Found"},
    "Spring": {"timestamp": "2026-11-28T10:00:00Z", "status": 404, "error": "Not Found", "path": "/x"},
    "gRPC": {"code": 5, "message": "Not Found", "details": []},
    "Dropwizard": {"code": 404, "message": "HTTP 404 Not Found"},
    "Google": {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}},
    "Azure": {"error": {"code": "ResourceNotFound", "message": "not here"}},
    "RFC 9457": {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such page"},
    "JSON:API": {"errors": [{"status": "404", "code": "not_found", "title": "Not found"}]},
    "a code alone": {"code": "NOT_FOUND"},
    "codes that are none": {"code": None, "message": None, "description": None},
    "WordPress": {"code": "rest_no_route", "message": "No route was found", "data": {"status": 404}},
    "WooCommerce": {"code": "1234567", "message": "No route was found", "data": {"status": 404}},
    "restify": {"code": "ResourceNotFound", "message": "/data/reports does not exist"},
    "a Chinese gateway": {"code": "404", "message": "There is no api match"},
    "Supabase": {"code": "NOT_FOUND", "message": "Requested function was not found"},
    "Supabase for a 400": {"code": "INVALID_REQUEST", "message": "Malformed path"},
    "Strapi": {"code": "NOT_FOUND", "message": "no such batch", "name": "NotFoundError"},
    "a code in other digits": {"code": "\u0661\u0661\u0661\u0661\u0661\u0661\u0661", "message": "no"},
    "a message that is none": {"code": "NOT_FOUND", "message": None},
    "an empty envelope": {"response": {}},
    "an empty error": {"response": {"error": {}}},
    "an error of another API": {"response": {"error": {"id": 7, "name": "X", "message": "no"}}},
    "an error in words": {"response": {"error": "not found"}, "error": "not found"},
    "a health check": {"status": "ok"},
    "an object": {},
    "a number": 7,
    "a list of others": [{"id": 1, "name": "a"}],
    "a list of words": ["jobs"],
    "a list in an object": {"jobs": []},
    "an app's page for all": b"<html><div id=root></div></html>",
}


def hook(name: str) -> BatchJobHook:
    hook_class, extra = HOOKS[name]
    made: BatchJobHook = hook_of(hook_class, extra=extra)
    return made


@pytest.mark.parametrize("vendor", HOOKS)
@pytest.mark.parametrize("status", [200, 201, 204, 206, 300, 302, 303, 307, 400, 404, 405, 410])
@pytest.mark.parametrize("other", OTHERS)
def test_what_any_server_might_answer_is_red(vendor: str, status: int, other: str) -> None:
    body = OTHERS[other]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    flow = hook(vendor).ping_flow()
    next(flow)
    with pytest.raises(VendorError) as caught:
        flow.send(Response(status, {"content-type": "application/json", "location": "/login"}, raw))
    assert str(caught.value)


@pytest.mark.parametrize("vendor", ["aftercare", "questionpro", "ruler without a site", "talkdesk"])
def test_the_message_says_what_is_expected_and_asks_for_the_base_url(vendor: str) -> None:
    made = hook(vendor)
    flow = made.ping_flow()
    next(flow)
    with pytest.raises(VendorError) as caught:
        flow.send(Response(404, {"content-type": "text/html; charset=utf-8"}, b"<html>"))
    assert "answered 404 (text/html), as any server might; expected is " in str(caught.value)
    assert str(caught.value).endswith(f"Is the base URL that of {made.hook_name}?")


OWN: dict[str, list[object]] = {
    "aftercare": [
        {"code": "NOT_FOUND", "message": "Batch job not found"},
        {"code": "NOT_FOUND", "message": "Requested resource not found", "details": {"batchJobId": "?"}},
    ],
    "questionpro": [{"response": {"error": {"id": "1040", "name": "NOT_FOUND", "message": "no"}}}],
    "talkdesk": [
        {"code": "0540404", "message": "Job not found"},
        {"code": "0540404", "description": "Job not found"},
        {"code": "unknown_job", "message": "no", "description": "no such job", "fields": []},
        {"code": "unknown_job", "message": "no", "fields": [{"name": "id", "description": "unknown"}]},
    ],
}


@pytest.mark.parametrize("vendor", OWN)
def test_a_vendors_own_error_is_green_for_it_and_red_for_the_others(vendor: str) -> None:
    for other, errors in OWN.items():
        for error in errors:
            flow = hook(vendor).ping_flow()
            next(flow)
            with pytest.raises(StopIteration if vendor == other else VendorError):
                flow.send(Response(404, {}, json.dumps(error).encode()))


@pytest.mark.parametrize("fields", [{"password": ""}, {"host": "ftp://x"}, {"extra": '{"timeout": -1}'}, {}])
@pytest.mark.parametrize("conn_id", ["RmiHOSBw", "it's"])
def test_the_test_button_names_no_connection_but_the_form_in_front_of_the_user(
    conn_id: str, fields: dict[str, str]
) -> None:
    def refusing(received: Received, connection: socket.socket) -> None:
        connection.sendall(reply(401, b'{"message": "no"}'))

    with RawServer(refusing) as server:
        given = {"host": server.url, "password": "a-key", **fields}
        hook = AftercareHook(conn_id)
        with pytest.MonkeyPatch.context() as patch:
            value = {"conn_type": "aftercare", **given}
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
            good, message = hook.test_connection()

    assert not good
    assert message
    assert conn_id not in message
