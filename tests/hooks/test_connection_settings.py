"""What a connection may hold, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings

PUBLIC = "https://api.toy.example/v1"
SECRET = "canary-secret-5c1"


def connection(**fields: Any) -> Connection:
    extra = fields.pop("extra", None)
    text = extra if isinstance(extra, str) or extra is None else json.dumps(extra)
    return Connection(
        **{"conn_id": "my_toy", "conn_type": "toy", "password": SECRET, "extra": text, **fields}
    )


def read(**fields: Any) -> ConnectionSettings:
    return ConnectionSettings.read(connection(**fields), "toy", PUBLIC)


def refusal(**fields: Any) -> str:
    """Return the message of a connection that cannot be used, after what holds for every such message."""
    with pytest.raises(SettingsError) as caught:
        read(**fields)
    return checked(str(caught.value))


def checked(message: str) -> str:
    assert "connection 'my_toy': " in message  # names the connection
    assert "; " in message  # says what to do
    assert SECRET not in message
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, PUBLIC),
        ({"host": ""}, PUBLIC),
        ({"host": "  "}, PUBLIC),
        ({"host": None, "port": 99}, "https://api.toy.example:99/v1"),
        ({"host": None, "port": 443}, PUBLIC),
        ({"host": None, "port": 0}, PUBLIC),
        ({"host": None, "schema": "https"}, PUBLIC),
        ({"host": "https://eu.toy.example/api/v7"}, "https://eu.toy.example/api/v7"),
        ({"host": "https://eu.toy.example:8443/api/v7"}, "https://eu.toy.example:8443/api/v7"),
        ({"host": "https://eu.toy.example/api/v7///"}, "https://eu.toy.example/api/v7"),
        ({"host": "https://eu.toy.example"}, "https://eu.toy.example/v1"),
        ({"host": "https://eu.toy.example/"}, "https://eu.toy.example/v1"),
        ({"host": "eu.toy.example"}, "https://eu.toy.example/v1"),
        ({"host": "eu.toy.example/v2"}, "https://eu.toy.example/v2"),
        ({"host": " eu.toy.example\n"}, "https://eu.toy.example/v1"),
        ({"host": "eu.toy.example", "port": 8443}, "https://eu.toy.example:8443/v1"),
        ({"host": "eu.toy.example/v2", "port": 8443}, "https://eu.toy.example:8443/v2"),
        ({"host": "eu.toy.example:8443"}, "https://eu.toy.example:8443/v1"),
        ({"host": "eu.toy.example", "schema": "https", "port": 8443}, "https://eu.toy.example:8443/v1"),
        ({"host": "eu.toy.example", "schema": " HTTPS "}, "https://eu.toy.example/v1"),
        ({"host": "https://eu.toy.example", "schema": "http"}, "https://eu.toy.example/v1"),
        ({"host": "https://eu.toy.example", "port": 9443}, "https://eu.toy.example:9443/v1"),
        ({"host": "https://eu.toy.example/", "port": 9443}, "https://eu.toy.example:9443/v1"),
        ({"host": "https://eu.toy.example/api/v7/", "port": 9443}, "https://eu.toy.example:9443/api/v7"),
        ({"host": "HTTPS://EU.Toy.Example", "port": "9443"}, "https://eu.toy.example:9443/v1"),
        ({"host": "https://eu.toy.example:9443", "port": 9443}, "https://eu.toy.example:9443/v1"),
        ({"host": "https://eu.toy.example:443", "port": 0}, "https://eu.toy.example/v1"),
        ({"host": "eu.toy.example:9443/v2", "port": 9443}, "https://eu.toy.example:9443/v2"),
        ({"host": "https://[2001:db8::1]/x", "port": 9443}, "https://[2001:db8::1]:9443/x"),
        ({"host": "http://localhost", "port": 80}, "http://localhost/v1"),
        ({"host": "HTTPS://EU.Toy.Example/Api/V7"}, "https://eu.toy.example/Api/V7"),
        ({"host": "https://bücher.example"}, "https://xn--bcher-kva.example/v1"),
        ({"host": "https://[2001:db8::1]"}, "https://[2001:db8::1]/v1"),
        ({"host": "https://[2001:DB8::1]:8443/x"}, "https://[2001:db8::1]:8443/x"),
        ({"host": "[2001:db8::1]", "port": 8443}, "https://[2001:db8::1]:8443/v1"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080/v1"),
        ({"host": "http://127.0.0.1:8080/v1"}, "http://127.0.0.1:8080/v1"),
        ({"host": "http://127.9.9.9"}, "http://127.9.9.9/v1"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080/v1"),
        ({"host": "localhost", "schema": "http", "port": 8080}, "http://localhost:8080/v1"),
        ({"host": "http://toy.example", "extra": {"allow_http": True}}, "http://toy.example/v1"),
        ({"host": "http://toy.example", "extra": {"allow_http": "True"}}, "http://toy.example/v1"),
    ],
)
def test_a_host_may_be_a_full_url_or_be_combined_with_schema_and_port(
    fields: dict[str, Any], url: str
) -> None:
    assert read(**fields).base_url == url


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"host": "https://user@toy.example"}, "holds a user or password"),
        ({"host": f"https://user:{SECRET}@toy.example/v1"}, "holds a user or password"),
        ({"host": f":{SECRET}@toy.example"}, "holds a user or password"),
        ({"host": f"https://toy.example/v1?key={SECRET}"}, "holds a ? or #"),
        ({"host": f"https://toy.example/v1#{SECRET}"}, "holds a ? or #"),
        ({"host": "https://toy.example/\nX-Forged: 1"}, "is no address"),
        ({"host": "https://toy.exam\rple"}, "is no address"),
        ({"host": "https://toy.example/a b"}, "is no address"),
        ({"host": "https://toy.example/\x00"}, "is no address"),
        ({"host": "https://"}, "is no address"),
        ({"host": "https:///v1"}, "is no address"),
        ({"host": "https://toy.example:abc"}, "is no address"),
        ({"host": "https://toy.example:99999"}, "is no address"),
        ({"host": "https://[2001:db8::1"}, "is no address"),
        ({"host": "https://[fe80::1%eth0]"}, "is no address"),
        ({"host": "::1"}, "is no address"),
        ({"host": "https://toy..example"}, "is no address"),
        ({"host": "https://" + "a" * 64 + ".example"}, "is no address"),
        ({"host": "https://toy%2eexample"}, "is no address"),
        ({"host": "https://toy.example\\elsewhere.example"}, "is no address"),
        ({"host": "ftp://toy.example"}, "begins with another scheme than https"),
        ({"host": "http://toy.example"}, "is plain http"),
        ({"host": "http://toy.example", "extra": {"allow_http": False}}, "is plain http"),
        ({"host": "http://toy.example", "extra": {"allow_http": "false"}}, "is plain http"),
        ({"host": "http://localhost.toy.example"}, "is plain http"),
        ({"host": "http://0.0.0.0"}, "is plain http"),
        ({"host": "toy.example", "schema": "http"}, "is plain http"),
    ],
)
def test_a_host_that_is_unsafe_or_no_address_is_refused(fields: dict[str, Any], problem: str) -> None:
    assert f"host {problem}; " in refusal(**fields)


#: A host that two standards read in two ways, the character, and the host as the newer one reads it, from
#: the examples of UTS 46, section 7, and others checked with the library idna.
DEVIATIONS = {
    "faß.de": ("U+00DF", "xn--fa-hia.de"),
    "FAẞ.de": ("U+00DF", "xn--fa-hia.de"),
    "βόλος.com": ("U+03C2", "xn--nxasmm1c.com"),
    "ශ්\u200dරී。com": ("U+200D", "xn--10cl1a0b660p.com"),
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com": ("U+200C", "xn--mgba3gch31f060k.com"),
    "bücher.groß.example": ("U+00DF", "xn--bcher-kva.xn--gro-7ka.example"),
}


@pytest.mark.parametrize("host", DEVIATIONS)
@pytest.mark.parametrize("form", ["https://{}/v2", "{}", "https://{}:8443"])
def test_a_host_that_clients_take_for_different_domains_is_refused_with_the_form_to_write(
    form: str, host: str
) -> None:
    character, ascii_form = DEVIATIONS[host]
    message = refusal(host=form.format(host))
    assert f"host holds the character {character}, which clients turn into different domains" in message
    assert f"write the host as {ascii_form}, if it is that one" in message
    read(host=form.format(ascii_form))


@pytest.mark.parametrize("name", ["token_url", "auth_url"])
def test_so_is_the_host_of_a_login(name: str) -> None:
    settings = read(extra={name: "https://login.weiß.example/oauth"})
    with pytest.raises(SettingsError, match=f"extra '{name}' holds the character U\\+00DF"):
        settings.url(name, "")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"host": "toy.example:1", "port": 8443}, "is another than the one that the host names"),
        ({"host": "https://toy.example:444/v1", "port": 443}, "is another than the one that the host names"),
        ({"host": "https://toy.example", "port": -1}, "is no number from 1 to 65535"),
        ({"host": "https://toy.example", "port": 65536}, "is no number"),
        ({"host": "toy.example", "port": 10**5000}, "is no number"),
        ({"host": "toy.example", "port": "https"}, "is no number"),
    ],
)
def test_a_port_that_is_none_or_another_than_the_hosts_is_refused(
    fields: dict[str, Any], problem: str
) -> None:
    message = refusal(**fields)
    assert ": port is " in message
    assert problem in message


@pytest.mark.parametrize(
    "uri",
    [
        "toy://:key-key@gw.toy.example/v7",
        "toy://:key-key@gw.toy.example:8443/proxy/toy/v7/",
        "toy://:key-key@/v7",
        "toy://https://gw.toy.example:8443/v7",
        "toy://:key-key@https%3A%2F%2Fgw.toy.example/v7",
        "toy://:key-key@gw.toy.example/ftp",
    ],
)
def test_the_path_of_a_connections_uri_is_named_as_such(uri: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ConnectionSettings.read(Connection.from_uri(uri, conn_id="my_toy"), "toy", PUBLIC)
    message = checked(str(caught.value))
    assert message.startswith("connection 'my_toy': schema (in a URI, its path) is neither")
    assert "give the whole address as host" in message


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("toy://:key-key@gw.toy.example", "https://gw.toy.example/v1"),
        ("toy://:key-key@gw.toy.example:8443/https", "https://gw.toy.example:8443/v1"),
        ("toy://:key-key@https%3A%2F%2Fgw.toy.example%2Fv7:8443/", "https://gw.toy.example:8443/v7"),
        ("toy://https://gw.toy.example:8443", "https://gw.toy.example:8443/v1"),
    ],
)
def test_a_connections_uri_says_where_to_call(uri: str, url: str) -> None:
    assert ConnectionSettings.read(Connection.from_uri(uri, conn_id="my_toy"), "toy", PUBLIC).base_url == url


@pytest.mark.parametrize(
    ("pasted", "key"),
    [
        ("Bearer abc-def", "abc-def"),
        ("bearer   abc-def", "abc-def"),
        ("BEARER abc-def", "abc-def"),
        ("Authorization: Bearer abc-def", "abc-def"),
        ("authorization:bearer abc-def", "abc-def"),
        ("Bearerabc-def", "Bearerabc-def"),
        ("abc Bearer def", "abc Bearer def"),
        ("Bearer-abc", "Bearer-abc"),
    ],
)
def test_the_word_that_was_copied_with_a_key_is_left_out(pasted: str, key: str) -> None:
    settings = read(password=pasted)
    assert settings.header_key("password", settings.password, "paste the key") == key


@pytest.mark.parametrize("pasted", ["Bearer", " Bearer ", "Authorization: Bearer"])
def test_a_key_that_is_only_the_word_before_it_is_not_set(pasted: str) -> None:
    settings = read(password=pasted)
    with pytest.raises(SettingsError, match="password is not set; paste the key"):
        settings.header_key("password", settings.password, "paste the key")


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40) | st.text("aZ0.:/@[]?#% \\\n-_é", max_size=20).map("https://h".__add__))
def test_whatever_stands_as_host_gives_an_address_or_a_clear_refusal(host: str) -> None:
    try:
        url = ConnectionSettings.read(connection(host=host), "toy", PUBLIC).base_url
    except SettingsError as error:
        checked(str(error))
    else:
        assert url.startswith("https://")
        assert not url.endswith("/")
        assert not set(url) & set(" \t\r\n?#")
        assert re.fullmatch(r"[a-z0-9._:\[\]-]+", urlsplit(url).netloc)


@pytest.mark.parametrize(
    ("login", "password", "kept"),
    [(" jo \n", f"\t{SECRET}\r\n", ("jo", SECRET)), ("", "  ", (None, None)), (None, None, (None, None))],
)
def test_credentials_are_stripped_and_an_empty_one_is_none(
    login: str | None, password: str | None, kept: tuple[str | None, str | None]
) -> None:
    settings = read(login=login, password=password)
    assert (settings.login, settings.password) == kept


@pytest.mark.parametrize("name", ["login", "password"])
@pytest.mark.parametrize("control", ["\n", "\r\n", "\x00", "\x1b", "\x7f"])
def test_a_credential_with_a_control_character_inside_is_refused(name: str, control: str) -> None:
    assert f"{name} holds a line break" in refusal(**{name: f"{SECRET}{control}tail"})


def test_a_missing_password_is_named_with_its_fix() -> None:
    for value in (None, ""):
        settings = read(password=value)
        with pytest.raises(SettingsError, match="connection 'my_toy': password is not set; paste the key"):
            settings.required("password", settings.password, "paste the key")
    assert read().required("password", SECRET, "paste the key") == SECRET


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("[]", "is a JSON list"),
        (f'"{SECRET}"', "is a JSON str"),
        ("7", "is a JSON int"),
        (f'{{"key": "{SECRET}"', "is no JSON"),
        (f'{{"{SECRET}": 1, "{SECRET}": 2}}', "is no JSON"),
        ('{"timeout": NaN}', "is no JSON"),
        ("[" * 70 + "]" * 70, "is no JSON"),
    ],
)
def test_an_extra_that_is_no_json_object_is_refused(extra: str, problem: str) -> None:
    assert f"extra {problem}" in refusal(extra=extra)


@pytest.mark.parametrize("extra", [None, "", " ", {}])
def test_an_empty_extra_means_the_defaults(extra: Any) -> None:
    settings = read(extra=extra)
    assert (settings.extra, settings.statuses) == ({}, {})
    assert (settings.timeout, settings.ca_file, settings.allow_http) == (60.0, None, False)


@pytest.mark.parametrize("form", [lambda words: words, json.dumps, lambda words: f" {json.dumps(words)}\n"])
def test_statuses_may_be_an_object_or_its_json_as_a_form_sends_it(form: Any) -> None:
    settings = read(extra={"statuses": form({"Paused": "running", "Done": "succeeded"})})
    assert settings.statuses == {"Paused": JobState.RUNNING, "Done": JobState.SUCCEEDED}


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_empty_statuses_add_nothing(nothing: Any) -> None:
    assert read(extra={"statuses": nothing}).statuses == {}


@pytest.mark.parametrize(
    ("statuses", "problem"),
    [
        (
            {"Held": "running", "Paused": "sleeping"},
            "has the unknown state 'sleeping' for 'Paused'; the states are running, succeeded, partial",
        ),
        ({"Paused": "Running"}, "has the unknown state 'Running'"),
        ({"Paused": None}, "has the unknown state None"),
        ({"Paused": ["running"]}, "has the unknown state ['running']"),
        (["Paused"], "is a list"),
        (7, "is a int"),
        ("running", "is no JSON"),
        ('["Paused"]', "is a list"),
        ('{"Paused": "running", "Paused": "failed"}', "is no JSON"),
    ],
)
def test_statuses_of_the_wrong_shape_are_refused(statuses: Any, problem: str) -> None:
    assert f"extra 'statuses' {problem}" in refusal(extra={"statuses": statuses})


@pytest.mark.parametrize("value", [False, "false", "False", " NO ", "off", "0", 0, [], {}])
def test_certificate_checks_cannot_be_switched_off(value: Any) -> None:
    assert "extra 'verify' would switch certificate checks off" in refusal(extra={"verify": value})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        *((word, None) for word in (None, "", " ", True, 1, "true", " True", "TRUE", "1", "yes", "On")),
        (" /etc/ca.pem ", "/etc/ca.pem"),
        ("yes.pem", "yes.pem"),
    ],
)
def test_verify_is_a_ca_file_or_nothing(value: Any, path: str | None) -> None:
    assert read(extra={"verify": value}).ca_file == path


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 60.0), ("", 60.0), (5, 5.0), (2.5, 2.5), ("90", 90.0), (" 7 ", 7.0)]
)
def test_timeout_is_in_seconds(value: Any, seconds: float) -> None:
    assert read(extra={"timeout": value}).timeout == seconds


@pytest.mark.parametrize(
    "value", [0, -1, "0", "soon", True, False, "nan", "inf", "1e400", [], {"seconds": 5}, 10**400]
)
def test_a_timeout_that_is_no_time_is_refused(value: Any) -> None:
    assert "extra 'timeout' is " in refusal(extra={"timeout": value})


@pytest.mark.parametrize("name", ["allow_http", "lists"])
def test_a_field_that_is_true_or_false_is_read_as_a_form_sends_it(name: str) -> None:
    default = name == "lists"
    for value, flag in ((True, True), (" TRUE ", True), ("False", False), ("", default), (None, default)):
        assert getattr(read(extra={name: value}), name) is flag
    for odd in (1, 0, "yes", [], {}):
        assert f"extra '{name}' is " in refusal(extra={name: odd})


def test_a_connection_of_another_type_is_refused_with_the_type_to_choose() -> None:
    message = refusal(conn_type="http")
    assert message == "connection 'my_toy': type is 'http'; choose 'toy'"


@pytest.mark.parametrize(
    ("value", "text"), [("  a ", "a"), (42, "42"), ("", None), (None, None), (" ", None)]
)
def test_a_text_of_the_extra_is_stripped_and_a_number_is_its_text(value: Any, text: str | None) -> None:
    assert read(extra={"site": value}).text("site") == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["a"], "is a list; give a text"),
        (True, "is a bool; give a text"),
        ({}, "is a dict; give a text"),
        (f"{SECRET}\n{SECRET}", "holds a line break"),
    ],
)
def test_a_text_of_the_extra_that_is_no_line_of_text_is_refused(value: Any, problem: str) -> None:
    settings = read(extra={"site": value})
    with pytest.raises(SettingsError) as caught:
        settings.text("site")
    assert f"connection 'my_toy': extra 'site' {problem}" in checked(str(caught.value))
    assert read().text("site") is None


def test_a_url_of_the_extra_is_checked_as_the_host_is() -> None:
    assert read().url("auth_url", "https://auth.toy.example/login") == "https://auth.toy.example/login"
    given_url = read(extra={"auth_url": "HTTPS://Auth.Toy.Example/Login/"})
    assert given_url.url("auth_url", "") == "https://auth.toy.example/Login/"
    plain = read(extra={"auth_url": "http://auth.toy.example/login"})
    with pytest.raises(SettingsError, match="extra 'auth_url' is plain http"):
        plain.url("auth_url", "")
    allowed = read(extra={"auth_url": "http://auth.toy.example/login", "allow_http": True})
    assert allowed.url("auth_url", "") == "http://auth.toy.example/login"


def test_the_repr_of_settings_shows_no_secret() -> None:
    settings = read(login=f"login-{SECRET}", extra={"private_key": SECRET, "statuses": {"Paused": "running"}})
    assert settings.extra["private_key"] == SECRET
    assert SECRET not in repr(settings)
    assert "my_toy" in repr(settings)


@pytest.mark.parametrize(
    "uri",
    [
        "toy://:48151/qRsT77uVw@gw.toy.example",
        "toy://key/qRsT77uVw@gw.toy.example",
        "toy://:key@gw.toy.example:48151/qRsT77uVw",
        "toy://:key@qRsT77uVw%3A%2F%2Fgw.toy.example",
        "toy://:key@https%3A%2F%2Fgw.toy.example%3A48151:48152",
    ],
)
def test_what_may_be_the_rest_of_a_secret_is_not_quoted(uri: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ConnectionSettings.read(Connection.from_uri(uri, conn_id="my_toy"), "toy", PUBLIC)
    shown = str(caught.value).lower()
    assert "qrst77uvw" not in shown
    assert "4815" not in shown


@pytest.mark.parametrize(
    "verify",
    [
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----",
        "/etc/ca\0.pem",
    ],
)
def test_a_certificate_itself_is_no_ca_file(verify: str) -> None:
    message = refusal(extra={"verify": verify})
    assert "extra 'verify' holds a certificate or a control character" in message
    assert "MIIB" not in message
