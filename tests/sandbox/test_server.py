"""The sandbox as a server: origins, recording, errors, start and stop."""

from __future__ import annotations

import ast
import json
import random
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

import airflow_provider_jobstatus.sandbox
from airflow_provider_jobstatus.sandbox import Sandbox


def raw_exchange(url: str, request: bytes) -> bytes:
    """Send bytes that no client library would leave alone and return what comes back."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def free_port_before_a_taken_one() -> tuple[int, socket.socket]:
    """Return a free port and the listener that has the next one."""
    # Below the range from which the system hands out ports to everybody else.
    for first in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", first)):
            return first, socket.create_server(("127.0.0.1", first + 1))
    pytest.fail("no two free ports in a row")


def test_api_logins_and_files_are_different_origins_on_loopback(sandbox: Sandbox) -> None:
    origins = [urlsplit(url) for url in (sandbox.api_url, sandbox.auth_url, sandbox.storage_url)]
    assert {origin.hostname for origin in origins} == {"127.0.0.1"}
    assert len({origin.port for origin in origins}) == 3


def test_an_endpoint_is_served_on_its_own_origin_only(sandbox: Sandbox) -> None:
    assert requests.post(f"{sandbox.api_url}/v1/login", timeout=10).status_code == 404
    assert requests.get(f"{sandbox.auth_url}/v1/demo-site/batch/jobs", timeout=10).status_code == 404
    assert requests.get(f"{sandbox.auth_url}/_sandbox/health", timeout=10).status_code == 404


def test_health_tells_the_time_and_the_vendors(sandbox: Sandbox) -> None:
    health = requests.get(f"{sandbox.api_url}/_sandbox/health", timeout=10).json()
    assert health["status"] == "ok"
    assert health["vendors"] == ["aftercare", "questionpro", "ruler", "talkdesk"]
    assert health["now"] <= sandbox.health()["now"]


def test_a_request_is_recorded_as_it_came_in_with_our_status(sandbox: Sandbox) -> None:
    raw_exchange(
        sandbox.api_url,
        b"GET /v1/a%20b/batch/%2e%2E/status?x=1%2F&y HTTP/1.1\r\nHost: h\r\nX-oDD: One\r\nX-Odd: Two\r\n"
        b"Connection: close\r\n\r\n",
    )
    requests.post(f"{sandbox.auth_url}/v1/login", data={"username": "ü"}, timeout=10)
    first, second = sandbox.requests
    assert first["number"] == 1
    assert (first["origin"], first["method"], first["status"]) == ("api", "GET", 401)
    assert first["target"] == "/v1/a%20b/batch/%2e%2E/status?x=1%2F&y"
    assert first["headers"][1:3] == [["X-oDD", "One"], ["X-Odd", "Two"]]
    assert (second["origin"], second["method"], second["status"]) == ("auth", "POST", 401)
    assert (second["body"], second["body_encoding"]) == ("username=%C3%BC", "text")
    assert abs(second["at"] - sandbox.health()["now"]) < 60


def test_a_body_that_is_not_text_is_recorded_as_base64(sandbox: Sandbox) -> None:
    requests.post(f"{sandbox.auth_url}/v1/login", data=b"\xff\x00", timeout=10)
    (request,) = sandbox.requests
    assert (request["body"], request["body_encoding"], request["body_bytes"]) == ("/wA=", "base64", 2)


def test_only_the_head_of_a_large_body_is_kept(sandbox: Sandbox) -> None:
    requests.post(f"{sandbox.auth_url}/v1/login", data=b"x" * 200_000, timeout=10)
    (request,) = sandbox.requests
    assert request["body_bytes"] == 200_000
    assert len(request["body"]) == 64 * 1024


def test_admin_requests_are_not_recorded(sandbox: Sandbox) -> None:
    requests.get(f"{sandbox.api_url}/_sandbox/jobs", timeout=10)
    assert sandbox.requests == []


def test_requests_are_the_same_over_http_and_can_be_cleared(sandbox: Sandbox) -> None:
    requests.get(f"{sandbox.api_url}/nowhere", timeout=10)
    listing = f"{sandbox.api_url}/_sandbox/requests"
    assert requests.get(listing, timeout=10).json() == sandbox.requests
    assert requests.delete(listing, timeout=10).status_code == 204
    assert sandbox.requests == []
    requests.get(f"{sandbox.api_url}/nowhere", timeout=10)
    assert [request["number"] for request in sandbox.requests] == [2]
    sandbox.clear_requests()
    assert sandbox.requests == []


@pytest.mark.parametrize("path", ["/", "/nowhere", "/v1/", "/v1/demo-site/nowhere", "/_sandbox/nowhere"])
def test_an_unknown_path_is_a_404_in_json(shared: Sandbox, path: str) -> None:
    response = requests.get(shared.api_url + path, timeout=10)
    assert response.status_code == 404
    assert isinstance(response.json(), dict)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/demo-site/batch/jobs", "GET"),
        ("HEAD", "/v1/demo-site/batch/revenue-demo/status", "GET"),
        ("GET", "/v1/demo-site/revenue/batch", "POST"),
        ("POST", "/_sandbox/health", "GET"),
    ],
)
def test_a_wrong_method_is_a_405_in_json(shared: Sandbox, method: str, path: str, allowed: str) -> None:
    response = requests.request(method, shared.api_url + path, timeout=10)
    assert response.status_code == 405
    assert response.headers["Allow"] == allowed
    assert response.headers["Content-Type"].startswith("application/json")


def test_the_environment_defines_a_connection_that_logs_in(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    assert sorted(environment) == [
        "AIRFLOW_CONN_AFTERCARE_DEFAULT",
        "AIRFLOW_CONN_QUESTIONPRO_DEFAULT",
        "AIRFLOW_CONN_RULER_DEFAULT",
        "AIRFLOW_CONN_TALKDESK_DEFAULT",
    ]
    for vendor in ("aftercare", "questionpro", "talkdesk"):
        value = environment[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"]
        assert json.loads(value) == sandbox.connection(vendor)
    connection = json.loads(environment["AIRFLOW_CONN_RULER_DEFAULT"])
    assert connection == sandbox.connection("ruler")
    assert connection["conn_type"] == "ruler"
    assert connection["host"] == f"{sandbox.api_url}/v1"
    assert connection["extra"] == {"auth_url": f"{sandbox.auth_url}/v1/login", "site_id": "demo-site"}


def test_each_start_makes_up_its_own_credentials() -> None:
    with Sandbox() as one, Sandbox() as other:
        assert one.connection("ruler")["password"] != other.connection("ruler")["password"]
        assert one.connection("ruler")["password"].startswith("sandbox-")


def test_credentials_can_be_given_at_the_start() -> None:
    given = {"username": "jo", "password": "canary-1", "access_token": "canary-2"}
    with Sandbox(settings={"ruler": given}) as sandbox:
        connection = sandbox.connection("ruler")
        assert (connection["login"], connection["password"]) == ("jo", "canary-1")
        token = sandbox.connection("ruler", token=True)
        assert token["password"] == "canary-2"
        assert "login" not in token
        assert token["extra"] == {"site_id": "demo-site"}


def test_an_unknown_vendor_or_setting_is_refused_at_the_start() -> None:
    with pytest.raises(LookupError, match="no vendor 'rules'"):
        Sandbox(settings={"rules": {}})
    with pytest.raises(ValueError, match="unknown key pasword"):
        Sandbox(settings={"ruler": {"pasword": "x"}})


def test_a_stopped_sandbox_has_closed_its_ports_and_kept_its_recording() -> None:
    with Sandbox() as sandbox, requests.Session() as session:
        session.get(f"{sandbox.api_url}/nowhere", timeout=10)
    assert len(sandbox.requests) == 1
    for url in (sandbox.api_url, sandbox.auth_url):
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)


def test_a_taken_port_is_told_in_python_too(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.api_url).port
    assert port is not None
    with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1 port {port}"), Sandbox(port=port):
        pass


def test_a_failed_start_gives_back_the_ports_it_had_taken() -> None:
    first, listener = free_port_before_a_taken_one()
    with listener:
        with pytest.raises(OSError, match=f"port {first + 1}: Address already in use"), Sandbox(port=first):
            pass
        with socket.create_server(("127.0.0.1", first)):
            pass


def test_the_sandbox_imports_nothing_of_the_rest_of_the_package_and_no_airflow() -> None:
    files = sorted(Path(airflow_provider_jobstatus.sandbox.__file__).parent.rglob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                own = name.startswith("airflow_provider_jobstatus.sandbox")
                assert own or not name.startswith("airflow"), f"{file.name} imports {name}"
