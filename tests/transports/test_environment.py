"""What both transports take from the environment."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from airflow_provider_jobstatus.transports import environment
from airflow_provider_jobstatus.transports.environment import (
    ca_file,
    chain,
    check_length,
    default_headers,
    proxy_for,
    reason,
)


def test_a_package_that_is_not_installed_has_a_name_without_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", missing)
    environment._user_agent.cache_clear()
    try:
        assert default_headers()["User-Agent"] == "airflow-provider-jobstatus"
    finally:
        environment._user_agent.cache_clear()


def test_the_connections_authorities_win_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ca_file(None)
    assert usual.endswith(".pem")
    before = usual
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
        assert ca_file(None) == before
        monkeypatch.setenv(name, name)
        assert ca_file(None) == name
        assert ca_file("own") == "own"
        before = name


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://api.example/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://api.example/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.example/", None),
        ({"https_proxy": "p:1"}, "https://api.example/", "http://p:1"),
        ({"https_proxy": ""}, "https://api.example/", None),
        ({"ALL_PROXY": "https://p:1"}, "https://api.example/", "https://p:1"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": ".example"}, "https://api.example/", None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3/", None),
    ],
)
def test_a_proxy_is_an_address_with_a_scheme_or_none(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize("length", ["0", "5", " 5 ", None])
def test_a_proper_length_passes(length: str | None) -> None:
    check_length({} if length is None else {"content-length": length})


@pytest.mark.parametrize("length", ["", "-5", "+5", "5, 5", "5;", "0x5", "five", "5.0", "\u0665", "\u00b2"])
def test_another_length_is_refused(length: str) -> None:
    with pytest.raises(ValueError, match="no proper Content-Length"):
        check_length({"content-length": length})


def test_the_cause_of_an_error_is_named_without_the_librarys_own_text() -> None:
    inner = ConnectionResetError(104, "Connection reset by peer")
    middle = RuntimeError("https://api.example/?token=hidden")
    middle.__context__ = inner
    outer = LookupError("hidden")
    outer.__cause__ = middle
    assert chain(outer) == [outer, middle, inner]
    assert reason(outer) == "ConnectionResetError: Connection reset by peer"
    assert reason(middle.__class__("hidden")) == "RuntimeError"
    assert reason(OSError("hidden")) == "OSError"


def test_errors_that_cause_each_other_end_somewhere() -> None:
    one, other = ValueError(), ValueError()
    one.__context__, other.__context__ = other, one
    assert chain(one) == [one, other]
