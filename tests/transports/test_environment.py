"""What both transports take from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path
from shutil import copy

import pytest

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import (
    ca_file,
    default_headers,
    tls_context,
    user_agent,
)
from airflow_provider_jobstatus.transports.failures import causes, reason
from airflow_provider_jobstatus.transports.heads import check_length, content_coding, header_text
from airflow_provider_jobstatus.transports.proxies import proxy_for
from tests.transports.conftest import Certificates
from tests.transports.driving import ask, with_aiohttp

#: From the last to the first that counts.
AUTHORITIES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def test_a_package_has_its_version_in_its_name_if_it_is_installed() -> None:
    assert default_headers()["User-Agent"] == user_agent()
    assert user_agent("pytest") == f"pytest/{pytest.__version__}"
    assert user_agent("no-such-package") == "no-such-package"


def test_the_connections_authorities_win_over_the_environments(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates, tmp_path: Path
) -> None:
    usual = ca_file(None)
    assert usual.endswith(".pem")
    before = usual
    for name in (*AUTHORITIES, "own"):
        copy(certificates.authority, tmp_path / name)
    for name in AUTHORITIES:
        monkeypatch.setenv(name, "")
        assert ca_file(None) == before
        monkeypatch.setenv(name, str(tmp_path / name))
        assert ca_file(None) == str(tmp_path / name)
        assert ca_file(str(tmp_path / "own")) == str(tmp_path / "own")
        before = str(tmp_path / name)


BROKEN_AUTHORITIES = {
    "missing": (None, "No such file"),
    "empty": (b"", "SSLError"),
    "a page": (b"<html>Sign in</html>", "SSLError"),
    "cut": (b"-----BEGIN CERTIFICATE-----\nMIIB", "SSLError"),
}


@pytest.mark.parametrize("kind", BROKEN_AUTHORITIES)
@pytest.mark.parametrize("name", AUTHORITIES)
def test_authorities_that_cannot_be_read_are_named_with_their_variable_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: str
) -> None:
    content, problem = BROKEN_AUTHORITIES[kind]
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(name, str(path))
    with pytest.raises(SettingsError) as caught:
        BlockingClient()
    assert str(caught.value).startswith(f"{name} names {str(path)!r}, ")
    assert problem in str(caught.value)
    with pytest.raises(TransportError, match=name):
        with_aiohttp(ask("http://127.0.0.1:1/"))


def test_the_connections_own_authorities_are_named_by_their_field(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="extra 'verify' names"):
        BlockingClient(ca=str(tmp_path / "gone.pem"))


def test_no_protocol_before_tls_1_2_is_spoken(certificates: Certificates) -> None:
    for ca in (None, certificates.authority):
        assert tls_context(ca).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://api.example/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://api.example/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.example/", None),
        ({"https_proxy": "p:1"}, "https://api.example/", "http://p:1"),
        ({"https_proxy": ""}, "https://api.example/", None),
        (
            {"https_proxy": " http://me:p%C3%A4ss@p.example:1 "},
            "https://api.example/",
            "http://me:p%C3%A4ss@p.example:1",
        ),
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


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"https_proxy": "socks5://me:hidden@p:1080"}, "https_proxy names a SOCKS proxy"),
        ({"HTTPS_PROXY": "socks5h://p:1080"}, "HTTPS_PROXY names a SOCKS proxy"),
        ({"ALL_PROXY": "SOCKS4://p"}, "ALL_PROXY names a SOCKS proxy"),
        ({"all_proxy": "socks://p"}, "all_proxy names a SOCKS proxy"),
        ({"HTTPS_PROXY": "ftp://hidden@p:21"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://p:hidden/"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://[p:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://me:hid\\hidden@p:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://me:hidden€@p:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://me:hidden%E2%82%AC@p:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://pröxy.hidden:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://p..hid den:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
        ({"HTTPS_PROXY": "http://p%20hidden:1"}, "HTTPS_PROXY names a proxy that cannot be used"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        proxy_for("https://api.example/")
    assert str(caught.value).startswith(problem)
    assert "hidden" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "api.example")
    assert proxy_for("https://api.example/") is None


@pytest.mark.parametrize(
    ("status", "headers", "coding"),
    [
        (200, {}, ""),
        (200, {"content-encoding": "gzip"}, "gzip"),
        (200, {"content-encoding": "gzip", "content-length": "20"}, "gzip"),
        (302, {"content-encoding": "gzip", "content-length": "0"}, ""),
        (200, {"content-encoding": "br", "content-length": "0"}, ""),
        (204, {"content-encoding": "gzip"}, ""),
        (304, {"content-encoding": "gzip", "content-length": "20"}, ""),
    ],
)
def test_no_body_has_no_coding(status: int, headers: dict[str, str], coding: str) -> None:
    assert content_coding(status, headers) == coding


@pytest.mark.parametrize("raw", [b"plain", "na\u00efve \u20ac".encode(), b"na\xefve"])
def test_a_header_reads_the_same_however_a_library_has_read_it(raw: bytes) -> None:
    text = header_text(raw.decode("latin-1"))
    assert header_text(raw.decode("utf-8", "surrogateescape"), "utf-8") == text
    assert text in ("plain", "na\u00efve \u20ac", "na\u00efve")


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
    assert causes(outer) == [outer, middle, inner]
    assert reason(outer) == "ConnectionResetError: Connection reset by peer"
    assert reason(middle.__class__("hidden")) == "RuntimeError"
    assert reason(OSError("hidden")) == "OSError"


def test_errors_that_cause_each_other_end_somewhere() -> None:
    one, other = ValueError(), ValueError()
    one.__context__, other.__context__ = other, one
    assert causes(one) == [one, other]


@pytest.mark.parametrize(("sent", "length"), [("00", "0"), (" 0", "0"), ("007", "7"), ("70", "70")])
def test_a_length_has_no_leading_zeros(sent: str, length: str) -> None:
    headers = {"content-length": sent}
    check_length(headers)
    assert headers == {"content-length": length}


@pytest.mark.parametrize("coding", ["chunked, identity", "gzip, chunked", "xchunked", "chunked, chunked"])
def test_a_transfer_coding_that_readers_take_in_different_ways_is_refused(coding: str) -> None:
    check_length({"transfer-encoding": " Chunked "})
    with pytest.raises(ValueError, match="a transfer coding that was not requested"):
        check_length({"transfer-encoding": coding})
