"""How client credentials become a token; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from airflow_provider_jobstatus.core.auth import Auth, ExchangedToken, origin
from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.pem import proper_pem
from airflow_provider_jobstatus.core.responses import clock_difference, retry_after
from airflow_provider_jobstatus.core.tokens import Token, read_token, token_flow, token_slot
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings


class Region(NamedTuple):
    """Base URL of a region's API, and the domain of its accounts' login hosts, where it is known."""

    api: str
    login_domain: str | None


REGIONS = {
    "us": Region("https://api.talkdeskapp.com", "talkdeskid.com"),
    "eu": Region("https://api.talkdeskapp.eu", "talkdeskid.eu"),
    "ca": Region("https://api.talkdeskappca.com", "talkdeskidca.com"),
    "au": Region("https://api.mytalkdesk.au", "talkdeskid.au"),
    "uk": Region("https://api.talkdeskapp.co.uk", None),
}
#: How the paths of all calls about reports begin, behind the base URL's own.
REPORTS = "/data/reports/"
#: The scope that a call needs, by its method.
SCOPES = {"GET": "data-reports:read", "POST": "data-reports:write", "DELETE": "data-reports:write"}
# A refused login that says that the client or its secret is wrong.
_WRONG_LOGIN = re.compile(
    r"invalid_(client|grant)|client authentication failed"
    r"|(invalid|wrong|bad|unknown|incorrect)\W+(client|credential|secret|assertion|signature)",
    re.IGNORECASE,
)
#: Life of a signed login, in seconds.
ASSERTION_LIFE = 300
#: Seconds that two clocks may differ without being taken for wrong.
CLOCK_TOLERANCE = 60.0


def is_login_host(url: str) -> bool:
    """Return whether an address is of a login host of Talkdesk's, whichever account's and region's."""
    host = origin(url)[1].rstrip(".")
    domains = {region.login_domain for region in REGIONS.values()} - {None}
    return any(f".{host}".endswith(f".{domain}") for domain in domains)


def region_of(settings: ConnectionSettings) -> Region:
    """Return the connection's region."""
    name = (settings.text("region") or "us").lower()
    if name not in REGIONS:
        raise settings.error("extra 'region'", f"is {name!r}", f"there are {', '.join(REGIONS)}")
    return REGIONS[name]


def add_scope(error: AccessDenied) -> None:
    """Name the scope where its absence may be why a login is refused."""
    scope = (
        f"the client needs the scope {SCOPES['GET']}; for some minutes after a scope was granted "
        "Talkdesk refuses the login"
    )
    if "_scope" in error.reason:
        error.add(scope)
    elif not _WRONG_LOGIN.search(error.reason):
        error.add(scope if error.status == 403 else f"if client id and secret are right, {scope}")


def make_auth(hook: BatchJobHook) -> Auth:
    """Return the exchange of client credentials: by signed JWT if there is a ``private_key``."""
    settings = hook.settings
    url = token_url(hook)
    client = settings.required("login", settings.login, "set it to the client id")
    key = settings.text("private_key", multiline=True)
    if key is not None:
        key_id = settings.required("extra 'key_id'", settings.text("key_id"), "set it to the key's id")
        algorithm = settings.text("algorithm") or "ES256"
        if algorithm not in ("ES256", "RS256"):
            raise settings.error("extra 'algorithm'", f"is {algorithm!r}", "there are ES256 and RS256")
        try:
            pem = proper_pem(key)
        except ValueError as problem:
            raise settings.error(
                "extra 'private_key'", str(problem), "give it with its BEGIN and END lines"
            ) from None
        return ExchangedToken(
            token_slot(url, client, pem),
            lambda: signed_login_flow(hook, url, client, pem, key_id, algorithm),
            (pem, key, *pem.splitlines()[1:-1]),  # a response may lay out its lines in another way
            refusals=frozenset({401, 403}),
        )
    secret = settings.required(
        "password", settings.password, "set it to the client secret, or set extra 'private_key'"
    )
    return ExchangedToken(
        token_slot(url, client, secret),
        lambda: login_flow(hook, url, client, secret),
        (secret,),
        refusals=frozenset({401, 403}),
    )


def token_url(hook: BatchJobHook) -> str:
    """Return where to log in."""
    settings = hook.settings
    if settings.text("token_url") is not None:
        return settings.url("token_url", "")
    # Of the host, where one is given: another region's login is another company's.
    host = urlsplit(settings.base_url).hostname
    domain = {urlsplit(region.api).hostname: region.login_domain for region in REGIONS.values()}.get(host)
    if domain is None:
        return settings.required("extra 'token_url'", None, "give the full URL of your login host")
    account = settings.required("extra 'account'", settings.text("account"), "set it to your account's name")
    if not re.fullmatch(r"[A-Za-z0-9-]+", account):
        raise settings.error("extra 'account'", "is no name of an account", "give only its first part")
    return f"https://{account}.{domain}/oauth/token"


def login_flow(hook: BatchJobHook, url: str, client: str, secret: str) -> Flow[Token]:
    """Exchange client id and secret: ``POST https://{account}.talkdeskid.com/oauth/token``."""
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    return token_flow(
        _login(hook, url, {"grant_type": "client_credentials"}, Authorization=f"Basic {basic}"),
        (secret, basic),
    )


def signed_login_flow(
    hook: BatchJobHook, url: str, client: str, pem: str, key_id: str, algorithm: str
) -> Flow[Token]:
    """Exchange a signed login: ``POST https://{account}.talkdeskid.com/oauth/token``."""
    now = hook.wall_clock()
    request, secrets = _signed_login(hook, now, url, client, pem, key_id, algorithm)
    response = yield request
    # Signed by a clock that is off, a login is refused as too old or of the future.
    ahead = clock_difference(response, now)
    final = response.status not in (400, 401, 403) or abs(ahead) <= CLOCK_TOLERANCE
    if final or retry_after(response):
        return read_token(request, response, secrets)
    request, secrets = _signed_login(hook, now + ahead, url, client, pem, key_id, algorithm)
    try:
        return read_token(request, (yield request), secrets)
    except AccessDenied as error:
        error.add(f"Talkdesk's clock and this machine's differ by {abs(ahead):.0f} s")
        raise


def _signed_login(
    hook: BatchJobHook, now: float, url: str, client: str, pem: str, key_id: str, algorithm: str
) -> tuple[Request, tuple[str, ...]]:
    """Return the request, and what in it is secret."""
    import jwt

    claims = {
        "jti": uuid.uuid4().hex,
        "iss": client,
        "sub": client,
        "aud": url,
        "iat": int(now),
        "exp": int(now) + ASSERTION_LIFE,
    }
    try:
        key: Any = jwt.get_algorithm_by_name(algorithm).prepare_key(pem)
        # PyJWT before 2.11 signs with any curve, and Airflow 3.1.0 does not go with a newer PyJWT.
        if algorithm == "ES256" and key.curve.name != "secp256r1":
            raise ValueError("not a key of the curve P-256")
        assertion = jwt.encode(claims, key, algorithm, headers={"kid": key_id})
    except (ValueError, TypeError, jwt.PyJWTError):
        raise hook.settings.error(
            "extra 'private_key'", f"is no key for {algorithm}", "give the private key as PEM"
        ) from None
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    return _login(hook, url, form), (assertion,)


def _login(hook: BatchJobHook, url: str, form: Mapping[str, str], **headers: str) -> Request:
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return Request(hook.conn_type, "POST", url, headers, urlencode(form).encode())
