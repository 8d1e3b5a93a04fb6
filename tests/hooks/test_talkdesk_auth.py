"""How a connection to Talkdesk shows who it is: regions, secret, signed login."""

from __future__ import annotations

import base64
import json
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from airflow.sdk import Connection
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import AccessDenied, RateLimited, ServerError, SettingsError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.tokens import Exchange, Token
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.login import (
    ASSERTION_LIFE,
    CLOCK_TOLERANCE,
    REGIONS,
    login_flow,
)
from tests.support.asking import file_flow, status_flow, with_credentials
from tests.support.flows import finish, reply, sample

SECRET = "canary:pass+word/9"
TOKEN_URL = "https://acme.talkdeskid.com/oauth/token"
NOW = 1_772_432_100
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: Any, layout: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, layout, NoEncryption()).decode()


EC_PEM, RSA_PEM = pem_of(EC_KEY), pem_of(RSA_KEY)
PUBLIC_PEM = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def talkdesk(**fields: Any) -> TalkdeskHook:
    fields = {"login": "client-1", "password": SECRET, "extra": {"account": "acme"}, **fields}
    fields["extra"] = json.dumps(fields["extra"])
    hook = TalkdeskHook.from_connection(Connection(conn_id="my_td", conn_type="talkdesk", **fields))
    hook.wall_clock = lambda: NOW + 0.75
    return hook


def by_key(key: str = EC_PEM, **extra: Any) -> TalkdeskHook:
    return talkdesk(password=None, extra={"account": "acme", "private_key": key, "key_id": "key-1"} | extra)


def login(hook: TalkdeskHook) -> Request:
    """Return the request by which a hook logs in."""
    exchange = next(with_credentials(hook, hook.ping_flow()))
    assert isinstance(exchange, Exchange)
    request = next(exchange.flow())
    assert isinstance(request, Request)
    return request


def form_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}


def api_of(hook: TalkdeskHook) -> str:
    return next(hook.ping_flow()).url.partition("/data/")[0]


# Regions


@pytest.mark.parametrize(
    ("region", "api", "token_url"),
    [
        (None, "https://api.talkdeskapp.com", "https://acme.talkdeskid.com/oauth/token"),
        ("", "https://api.talkdeskapp.com", "https://acme.talkdeskid.com/oauth/token"),
        ("us", "https://api.talkdeskapp.com", "https://acme.talkdeskid.com/oauth/token"),
        ("eu", "https://api.talkdeskapp.eu", "https://acme.talkdeskid.eu/oauth/token"),
        ("EU", "https://api.talkdeskapp.eu", "https://acme.talkdeskid.eu/oauth/token"),
        ("ca", "https://api.talkdeskappca.com", "https://acme.talkdeskidca.com/oauth/token"),
        ("au", "https://api.mytalkdesk.au", "https://acme.talkdeskid.au/oauth/token"),
    ],
)
def test_a_region_has_its_own_api_and_login_host(region: str | None, api: str, token_url: str) -> None:
    hook = talkdesk(extra={"account": "acme", "region": region})
    assert api_of(hook) == api
    assert login(hook).url == token_url


@pytest.mark.parametrize(
    ("port", "api"), [(443, "https://api.talkdeskapp.eu"), (9443, "https://api.talkdeskapp.eu:9443")]
)
def test_the_port_counts_in_a_region_too(port: int, api: str) -> None:
    hook = talkdesk(port=port, extra={"account": "acme", "region": "eu"})
    assert api_of(hook) == api
    assert login(hook).url == "https://acme.talkdeskid.eu/oauth/token"


def test_the_uk_has_an_api_and_needs_a_token_url() -> None:
    hook = talkdesk(extra={"account": "acme", "region": "uk"})
    assert api_of(hook) == "https://api.talkdeskapp.co.uk"
    with pytest.raises(SettingsError, match="extra 'token_url' is not set"):
        login(hook)
    known = talkdesk(extra={"region": "uk", "token_url": "https://acme.login.example/oauth/token"})
    assert login(known).url == "https://acme.login.example/oauth/token"


def test_an_unknown_region_names_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="extra 'region' is 'mars'; there are us, eu, ca, au, uk"):
        talkdesk(extra={"account": "acme", "region": "mars"})


def test_the_host_of_a_region_given_outright_brings_its_own_login_host() -> None:
    for name, region in REGIONS.items():
        for other in ("us", "eu"):
            hook = talkdesk(host=region.api, extra={"account": "acme", "region": other})
            assert api_of(hook) == region.api
            if region.login_domain is None:
                assert name == "uk"
                continue
            assert login(hook).url == f"https://acme.{region.login_domain}/oauth/token"


@pytest.mark.parametrize(
    "host", ["https://talkdesk.example", "https://api.talkdeskapp.com.evil.example", "http://localhost:8600"]
)
def test_another_host_given_outright_needs_a_token_url(host: str) -> None:
    with pytest.raises(SettingsError, match="extra 'token_url' is not set"):
        login(talkdesk(host=host))
    hook = talkdesk(host=host, extra={"token_url": "https://login.example/t"})
    assert (api_of(hook), login(hook).url) == (host, "https://login.example/t")


@pytest.mark.parametrize(
    "url",
    ["http://login.example/t", "https://a@login.example/t", "login.example/t", "https://login.example/t?x=1"],
)
def test_a_token_url_is_checked_as_a_host_is(url: str) -> None:
    with pytest.raises(SettingsError, match="extra 'token_url'"):
        login(talkdesk(extra={"token_url": url}))


@pytest.mark.parametrize(
    "account",
    [
        "evil.example/",
        "evil.example#",
        "evil.example?",
        "a.b",
        "a b",
        "a@b",
        "a:80",
        "a\\b",
        "ä",
        "a_b",
        "https://a",
    ],
)
def test_an_account_with_odd_characters_is_refused(account: str) -> None:
    with pytest.raises(SettingsError, match="extra 'account' is no name of an account"):
        login(talkdesk(extra={"account": account}))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"extra": {}}, "extra 'account' is not set"),
        ({"login": None}, "login is not set; set it to the client id"),
        ({"password": None}, "password is not set; set it to the client secret, or set extra 'private_key'"),
    ],
)
def test_a_missing_field_is_named(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        login(talkdesk(**fields))


# By secret


def test_a_secret_is_shown_as_basic_to_the_login_host() -> None:
    request = login(talkdesk())
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert request.headers == {
        "Authorization": f"Basic {BASIC}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert request.body == b"grant_type=client_credentials"
    assert "canary" not in repr(request)


BASIC = base64.b64encode(f"client-1:{SECRET}".encode()).decode()


def by_secret(response: Response) -> Any:
    return finish(login_flow(talkdesk(), TOKEN_URL, "client-1", SECRET), response)


def test_a_good_login_brings_a_token_and_its_life() -> None:
    assert by_secret(reply(sample("talkdesk/token.json"))) == Token("token-of-a-sample", 599.0)


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("said", ["Client authentication failed", f"bad {SECRET}", f"bad Basic {BASIC}"])
def test_a_refused_login_is_denied_in_its_own_words_and_without_the_secret(said: str, status: int) -> None:
    body = {"error": "invalid_client", "error_description": said}
    with pytest.raises(AccessDenied, match=r"POST acme\.talkdeskid\.com/oauth/token: answered") as caught:
        by_secret(reply(body, status))
    assert "invalid_client" in str(caught.value)
    assert caught.value.status == status
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.args)):
        assert "canary" not in shown
        assert BASIC not in shown


@pytest.mark.parametrize(
    ("response", "kind", "said"),
    [
        *(
            (reply(sample(f"talkdesk/token-error-{status}.json"), status), AccessDenied, text)
            for status in (400, 401)
            for text in [json.loads(sample(f"talkdesk/token-error-{status}.json"))["error_description"]]
        ),
        # In trouble, it refuses nothing.
        (reply(b"", 429), RateLimited, "answered 429"),
        (reply(b"", 500), ServerError, "answered 500"),
        (reply(b"", 503), ServerError, "answered 503"),
    ],
)
def test_an_error_of_the_login_host_says_what_it_is(
    response: Response, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        by_secret(response)


# By signed login


EC_FORMS = {
    "as it is": EC_PEM,
    "written out": EC_PEM.replace("\n", "\\n"),
    "lost": EC_PEM.replace("\n", " "),
    "base64": base64.b64encode(EC_PEM.encode()).decode(),
    "base64 in lines": base64.encodebytes(EC_PEM.encode()).decode(),
    "older": pem_of(EC_KEY, PrivateFormat.TraditionalOpenSSL),
    "with parameters": "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    + pem_of(EC_KEY, PrivateFormat.TraditionalOpenSSL),
}


@pytest.mark.parametrize("form", EC_FORMS)
def test_a_key_may_be_pasted_in_any_form(form: str) -> None:
    assertion = form_of(login(by_key(EC_FORMS[form])))["client_assertion"]
    jwt.decode(assertion, EC_KEY.public_key(), ["ES256"], audience=TOKEN_URL, options={"verify_exp": False})


@pytest.mark.parametrize(
    ("extra", "key", "algorithm"),
    [
        ({}, EC_KEY, "ES256"),
        ({"algorithm": "ES256"}, EC_KEY, "ES256"),
        ({"algorithm": "RS256", "private_key": RSA_PEM}, RSA_KEY, "RS256"),
        ({"algorithm": "RS256", "private_key": RSA_PEM.replace("\n", "\\n")}, RSA_KEY, "RS256"),
    ],
)
def test_a_signed_login_says_who_to_whom_and_for_how_long(extra: Any, key: Any, algorithm: str) -> None:
    request = login(by_key(**extra))
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    form = form_of(request)
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "kid": "key-1", "typ": "JWT"}
    claims = jwt.decode(
        assertion,
        key.public_key(),
        [algorithm],
        audience=TOKEN_URL,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": TOKEN_URL,
        "iat": NOW,
        "exp": NOW + ASSERTION_LIFE,
    }
    assert ASSERTION_LIFE == 300


def test_no_two_signed_logins_are_the_same() -> None:
    hook = by_key()
    options = {"verify_signature": False}
    ids = {jwt.decode(form_of(login(hook))["client_assertion"], options=options)["jti"] for _ in range(20)}
    assert len(ids) == 20


def test_a_signed_login_is_made_anew_for_each_exchange() -> None:
    hook = by_key()
    exchange = next(with_credentials(hook, hook.ping_flow()))
    first = form_of(next(exchange.flow()))["client_assertion"]
    hook.wall_clock = lambda: NOW + 3600
    second = form_of(next(exchange.flow()))["client_assertion"]
    issued = [jwt.decode(text, options={"verify_signature": False})["iat"] for text in (first, second)]
    assert issued == [NOW, NOW + 3600]


@pytest.mark.parametrize("ahead", [-3600, 600, CLOCK_TOLERANCE + 2])
@pytest.mark.parametrize("status", [400, 401])
def test_a_signed_login_that_a_wrong_clock_spoiled_is_signed_again_by_talkdesks_clock(
    status: int, ahead: float
) -> None:
    flow = next(with_credentials(by_key(), by_key().ping_flow())).flow()
    next(flow)
    date = {"date": formatdate(NOW + ahead, usegmt=True)}

    again = flow.send(Response(status, date, b'{"error": "invalid_client"}'))

    options = {"verify_signature": False}
    claims = jwt.decode(form_of(again)["client_assertion"], options=options)
    assert abs(claims["iat"] - (NOW + ahead)) <= 1
    assert claims["exp"] - claims["iat"] == ASSERTION_LIFE
    with pytest.raises(AccessDenied, match=r"clock and this machine's differ by \d+ s"):
        flow.send(Response(status, date, b'{"error": "invalid_client"}'))


@pytest.mark.parametrize("headers", [{}, {"date": "soon"}, {"date": formatdate(NOW + 30, usegmt=True)}])
def test_a_refused_login_is_sent_once_if_the_clocks_agree(headers: dict[str, str]) -> None:
    flow = next(with_credentials(by_key(), by_key().ping_flow())).flow()
    next(flow)

    with pytest.raises(AccessDenied):
        flow.send(Response(401, headers, b'{"error": "invalid_client"}'))


def test_a_private_key_wins_over_a_password() -> None:
    hook = talkdesk(extra={"account": "acme", "private_key": EC_PEM, "key_id": "key-1"})
    assert "client_assertion" in form_of(login(hook))


P384_PEM = pem_of(ec.generate_private_key(ec.SECP384R1()))
ENCRYPTED_PEM = EC_KEY.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
).decode()
BROKEN_PEM = "-----BEGIN PRIVATE KEY-----\n" + "canary" * 20 + "\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (EC_PEM, "RS256"),
        (RSA_PEM, "ES256"),
        (P384_PEM, "ES256"),
        (ENCRYPTED_PEM, "ES256"),
        (BROKEN_PEM, "ES256"),
        (BROKEN_PEM, "RS256"),
        (PUBLIC_PEM, "ES256"),
        ("canary", "ES256"),
        (SECRET, "RS256"),
        ("ключ", "ES256"),
    ],
)
def test_a_wrong_key_names_its_field_and_is_not_shown(key: str, algorithm: str) -> None:
    with pytest.raises(SettingsError, match="connection 'my_td': extra 'private_key' is no") as caught:
        login(by_key(key, algorithm=algorithm))
    shown = str(caught.value) + repr(caught.value)
    assert "canary" not in shown
    assert not [line for line in key.splitlines() if len(line) > 8 and line in shown]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("algorithm", ["HS256", "none", "es256", "PS256"])
def test_an_unknown_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(SettingsError, match=r"extra 'algorithm' is .*; there are ES256 and RS256"):
        login(by_key(algorithm=algorithm))


@pytest.mark.parametrize("key_id", [None, "", " "])
def test_a_key_without_its_id_is_refused(key_id: str | None) -> None:
    with pytest.raises(SettingsError, match="extra 'key_id' is not set"):
        login(by_key(key_id=key_id))


def test_a_refused_signed_login_does_not_show_the_assertion() -> None:
    hook = by_key()
    flow = next(with_credentials(hook, hook.ping_flow())).flow()
    assertion = form_of(next(flow))["client_assertion"]
    body = json.dumps({"error": "invalid_client", "error_description": f"expired: {assertion}"}).encode()
    with pytest.raises(AccessDenied) as caught:
        flow.send(Response(401, {}, body))
    assert "invalid_client" in str(caught.value)
    assert assertion[:40] not in str(caught.value)


def test_the_key_is_among_the_secrets_in_both_its_forms_and_line_by_line() -> None:
    pasted = EC_PEM.replace("\n", "\\n")
    auth = by_key(pasted).auth
    assert isinstance(auth, ExchangedToken)
    assert set(auth.secrets) == {EC_PEM, pasted, *EC_PEM.splitlines()[1:-1]}


def test_the_same_login_shares_a_token_and_another_does_not() -> None:
    def slot(hook: TalkdeskHook) -> object:
        return next(with_credentials(hook, hook.ping_flow())).slot

    assert slot(talkdesk()) is slot(talkdesk())
    others = [
        talkdesk(password="another"),
        talkdesk(login="client-2"),
        talkdesk(extra={"account": "acme", "region": "eu"}),
        by_key(),
    ]
    assert len({id(slot(hook)) for hook in [talkdesk(), *others]}) == 5
    assert slot(by_key(EC_PEM)) is slot(by_key(EC_PEM.replace("\n", "\\n")))


@pytest.mark.parametrize(("fields", "idle"), [
    ({"extra": {"account": "acme", "token_url": TOKEN_URL}}, "account"),
    ({"extra": {"account": "acme", "key_id": "k"}}, "key_id"),
    ({"host": "https://api.talkdeskapp.com", "extra": {"account": "acme", "region": "eu"}}, "region"),
    ({"extra": {"account": "acme", "region": "eu"}}, None),
    ({"host": "https://api.talkdeskapp.eu", "extra": {"account": "acme", "region": "eu"}}, None),
    ({"extra": {"token_url": TOKEN_URL}}, None),
])  # fmt: skip
def test_an_extra_that_another_field_leaves_without_effect_is_warned_about(
    fields: dict[str, Any], idle: str | None
) -> None:
    caveats = list(talkdesk(**fields).connection_warnings())
    assert [f"extra {idle!r} has no effect" in caveat for caveat in caveats] == [True] * (idle is not None)


# Scopes


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("host", ["", "https://gw.example/td"])
def test_a_refused_call_names_the_scope_that_it_needs(status: int, host: str) -> None:
    extra = {"account": "acme", "token_url": TOKEN_URL}
    hook = talkdesk(host=host, extra=extra)
    for asked in (status_flow(hook, "calls/1"), file_flow(hook, "calls/1"), hook.list_flow("calls")):
        flow = with_credentials(hook, asked)
        next(flow)
        flow.send("token-1")
        flow.send(Response(status))
        flow.send("token-2")
        with pytest.raises(AccessDenied) as caught:
            flow.send(Response(status, {}, b"no " * 1000))
        assert str(caught.value).endswith("; this call needs the scope data-reports:read")


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (400, b'{"error": "invalid_scope"}', "; the client needs the scope data-reports:read; for some"),
        (
            401,
            b'{"error": "invalid_scope", "error_description": "bad client"}',
            "; the client needs the scope",
        ),
        (403, b"", "; the client needs the scope data-reports:read; for some minutes after a scope"),
        (401, b"", "; if client id and secret are right, the client needs the scope data-reports:read"),
        (400, b'{"message": "no"}', "; if client id and secret are right, the client needs the scope"),
        (401, b'{"error": "invalid_client"}', ""),
        (400, b'{"error": "invalid_client"}', ""),
        (403, b"Wrong secret", ""),
        (401, b'{"error": "unauthorized", "error_description": "Client authentication failed"}', ""),
        (400, b'{"error": "invalid_grant"}', ""),
    ],
)
def test_a_refused_login_speaks_of_a_scope_unless_the_client_or_secret_is_wrong(
    status: int, body: bytes, hint: str
) -> None:
    hook = talkdesk()
    flow = with_credentials(hook, status_flow(hook, "calls/1"))
    exchange = next(flow)
    login = exchange.flow()
    next(login)
    with pytest.raises(AccessDenied) as refused:
        login.send(Response(status, {}, body))
    with pytest.raises(AccessDenied) as caught:
        flow.throw(refused.value)
    assert hint in str(caught.value)
    assert ("needs the scope" in str(caught.value)) == bool(hint)
    assert caught.value.credential.startswith("client id and client secret")
    assert SECRET not in str(caught.value)


def test_a_storage_that_refuses_says_nothing_of_a_scope() -> None:
    hook = talkdesk()
    flow = with_credentials(hook, file_flow(hook, "calls/1"))
    next(flow)
    flow.send("token-1")
    flow.send(Response(303, {"location": "https://lake.example/data/1?X-Amz-Signature=s"}))
    # Not the key: an address that is refused is asked for anew.
    flow.send(Response(401))
    again = flow.send("token-1")
    assert again.url.endswith("/data/reports/calls/files/1")
