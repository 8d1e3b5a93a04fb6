"""Tokens of the Talkdesk stand-in."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_jobstatus.sandbox import Sandbox

JOBS = "/data/reports/calls/jobs"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def by_secret(sandbox: Sandbox, *, secret: str | None = None, **form: str) -> requests.Response:
    connection = sandbox.connection("talkdesk")
    pair = f"{connection['login']}:{secret or connection['password']}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    form = {"grant_type": "client_credentials"} | form
    return requests.post(connection["extra"]["token_url"], data=form, headers=headers, timeout=10)


def claims_for(sandbox: Sandbox) -> dict[str, Any]:
    connection = sandbox.connection("talkdesk")
    return {
        "iss": connection["login"],
        "sub": connection["login"],
        "aud": connection["extra"]["token_url"],
        "jti": str(uuid.uuid4()),
        "iat": int(time.time()),
        "exp": int(time.time()) + 300,
    }


def sign(sandbox: Sandbox, claims: dict[str, Any], **changes: Any) -> str:
    extra = sandbox.connection("talkdesk", jwt=True)["extra"] | changes
    return jwt.encode(claims, extra["private_key"], extra["algorithm"], headers={"kid": extra["key_id"]})


def by_assertion(sandbox: Sandbox, assertion: str, **form: str) -> requests.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    } | form
    return requests.post(f"{sandbox.auth_url}/oauth/token", data=form, timeout=10)


def get_jobs(sandbox: Sandbox, token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(sandbox.api_url + JOBS, headers=headers, timeout=10)


def check_error(reply: requests.Response, status: int, error: str) -> None:
    assert (reply.status_code, reply.json()["error"]) == (status, error), reply.text
    assert set(reply.json()) == {"error", "error_description"}


def test_the_secret_gives_a_token_with_the_documented_keys_that_works(sandbox: Sandbox) -> None:
    reply = by_secret(sandbox)
    assert reply.status_code == 200
    body = reply.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["scope"] == "data-reports:read data-reports:write"
    assert get_jobs(sandbox, body["access_token"]).status_code == 200


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_signed_assertion_gives_a_token_that_works(sandbox: Sandbox, algorithm: str) -> None:
    sandbox.change_settings("talkdesk", jwt_algorithm=algorithm)
    connection = sandbox.connection("talkdesk", jwt=True)
    assert "password" not in connection
    assert connection["extra"]["algorithm"] == algorithm
    assert connection["extra"]["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    reply = by_assertion(sandbox, sign(sandbox, claims_for(sandbox)), scope="data-reports:read")
    assert (reply.status_code, reply.json()["scope"]) == (200, "data-reports:read")
    assert get_jobs(sandbox, reply.json()["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"aud": "https://elsewhere.example/oauth/token"},
        {"exp": int(time.time()) - 1},
        {"exp": "soon"},
        {"jti": None},
        {"exp": None},
        {"iat": None},
        {"aud": None},
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(sandbox: Sandbox, change: dict[str, Any]) -> None:
    claims = {name: value for name, value in (claims_for(sandbox) | change).items() if value is not None}
    check_error(by_assertion(sandbox, sign(sandbox, claims)), 401, "invalid_client")
    assert sandbox.settings("talkdesk")["logins_refused"] == 1


def test_an_assertion_ages_with_the_clock_and_counts_once(sandbox: Sandbox) -> None:
    assertion, later = (sign(sandbox, claims_for(sandbox)) for _ in range(2))
    assert by_assertion(sandbox, assertion).status_code == 200
    again = by_assertion(sandbox, assertion)
    check_error(again, 401, "invalid_client")
    assert "used before" in again.json()["error_description"]
    sandbox.advance_clock(301)
    check_error(by_assertion(sandbox, later), 401, "invalid_client")


def test_an_assertion_signed_with_another_key_is_refused(sandbox: Sandbox) -> None:
    shared = {"private_key": "a shared secret that is long enough", "algorithm": "HS256"}
    for changes in ({"private_key": ec.generate_private_key(ec.SECP256R1())}, shared, {"key_id": "other"}):
        assertion = sign(sandbox, claims_for(sandbox), **changes)
        check_error(by_assertion(sandbox, assertion), 401, "invalid_client")
    check_error(by_assertion(sandbox, "no.jwt"), 401, "invalid_client")


def test_rotated_keys_refuse_what_the_old_ones_have_signed(sandbox: Sandbox) -> None:
    assertion = sign(sandbox, claims_for(sandbox))
    sandbox.change_settings("talkdesk", rotate_keys=True)
    check_error(by_assertion(sandbox, assertion), 401, "invalid_client")
    assert by_assertion(sandbox, sign(sandbox, claims_for(sandbox))).status_code == 200


def test_a_wrong_secret_is_refused_in_the_shape_of_the_token_endpoint(sandbox: Sandbox) -> None:
    check_error(by_secret(sandbox, secret="wrong"), 401, "invalid_client")
    url = f"{sandbox.auth_url}/oauth/token"
    for header in ("Basic ???", "Basic", "Bearer x", b"Basic \xff\xfe"):
        form = {"grant_type": "client_credentials"}
        check_error(
            requests.post(url, data=form, headers={"Authorization": header}, timeout=10),
            401,
            "invalid_client",
        )


def test_a_request_that_is_no_good_is_a_400(sandbox: Sandbox) -> None:
    url = f"{sandbox.auth_url}/oauth/token"
    check_error(by_secret(sandbox, grant_type="password"), 400, "unsupported_grant_type")
    check_error(by_secret(sandbox, scope="everything"), 400, "invalid_scope")
    check_error(by_secret(sandbox, client_assertion="x"), 400, "invalid_request")
    check_error(by_assertion(sandbox, "x", client_assertion_type="y"), 400, "invalid_request")
    form = {"grant_type": "client_credentials"}
    check_error(requests.post(url, data=form, timeout=10), 400, "invalid_request")
    check_error(requests.post(url, json=form, timeout=10), 400, "invalid_request")
    basic = {"Authorization": "Basic eDp5"}
    check_error(requests.post(url, data={"x": "y"}, headers=basic, timeout=10), 400, "invalid_request")
    check_error(
        requests.post(url, data=[("grant_type", "a"), ("grant_type", "b")], headers=basic, timeout=10),
        400,
        "invalid_request",
    )
    assert requests.get(url, timeout=10).status_code == 405
    assert "error_description" in requests.get(url, timeout=10).json()


def test_a_token_expires_with_a_401_or_by_setting_with_a_403(sandbox: Sandbox) -> None:
    sandbox.change_settings("talkdesk", token_lifetime_seconds=30)
    reply = by_secret(sandbox).json()
    assert reply["expires_in"] == 30
    sandbox.advance_clock(15)
    assert get_jobs(sandbox, reply["access_token"]).status_code == 200
    sandbox.advance_clock(16)
    expired = get_jobs(sandbox, reply["access_token"])
    assert (expired.status_code, set(expired.json()) >= {"code", "message"}) == (401, True)
    sandbox.change_settings("talkdesk", expired_status=403)
    assert get_jobs(sandbox, reply["access_token"]).status_code == 403
    assert get_jobs(sandbox, "unknown").status_code == 401


def test_revoking_ends_the_tokens_that_are_alive(sandbox: Sandbox) -> None:
    tokens = [by_secret(sandbox).json()["access_token"] for _ in range(2)]
    assert sandbox.revoke_tokens("talkdesk") == 2
    assert {get_jobs(sandbox, token).status_code for token in tokens} == {401}
    assert sandbox.revoke_tokens("talkdesk") == 0
    assert get_jobs(sandbox, by_secret(sandbox).json()["access_token"]).status_code == 200
    assert sandbox.settings("talkdesk")["tokens_issued"] == 3


def test_a_token_is_good_for_its_scopes_only(sandbox: Sandbox) -> None:
    read = by_secret(sandbox, scope="data-reports:read").json()["access_token"]
    headers = {"Authorization": f"Bearer {read}"}
    assert requests.post(sandbox.api_url + JOBS, json={}, headers=headers, timeout=10).status_code == 403
    assert get_jobs(sandbox, read).status_code == 200
    sandbox.change_settings("talkdesk", scopes="data-reports:write")
    write = by_secret(sandbox).json()["access_token"]
    reply = get_jobs(sandbox, write)
    assert (reply.status_code, "data-reports:read" in reply.json()["message"]) == (403, True)
    check_error(by_secret(sandbox, scope="data-reports:read"), 400, "invalid_scope")


def test_credentials_are_made_up_and_can_be_given() -> None:
    given = {"client_id": "jo", "client_secret": "canary-1"}
    with Sandbox(settings={"talkdesk": given}) as sandbox:
        connection = sandbox.connection("talkdesk")
        assert (connection["conn_type"], connection["host"]) == ("talkdesk", sandbox.api_url)
        assert (connection["login"], connection["password"]) == ("jo", "canary-1")
        assert connection["extra"] == {"token_url": f"{sandbox.auth_url}/oauth/token"}
        assert by_secret(sandbox).status_code == 200
    with Sandbox() as one, Sandbox() as other:
        assert one.connection("talkdesk")["password"] != other.connection("talkdesk")["password"]
        assert one.connection("talkdesk")["password"].startswith("sandbox-password-")
