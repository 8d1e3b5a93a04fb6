"""The token endpoint of the Talkdesk stand-in: client credentials by secret or by signed assertion.

Sources: https://docs.talkdesk.com/reference/cc-basic , https://docs.talkdesk.com/reference/cc-jwt ,
https://docs.talkdesk.com/docs/signed-jwt

The pages give the shape of an error and its two HTTP statuses; which ``error`` word belongs to which mistake
is taken from RFC 6749, so a client must not rely on it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.vendor import Origin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

TOKEN_PATH = "/oauth/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "RS256")
REQUIRED_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti")


class TokenRefused(Exception):
    """A token request that gets none.

    :param status: The HTTP status.
    :param error: The word of RFC 6749.
    :param description: What is wrong.
    """

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error


@dataclass(frozen=True, kw_only=True)
class Client:
    """What can be set about the client and its tokens.

    :param client_id: Its name.
    :param client_secret: Its secret.
    :param scopes: What its tokens are good for, separated by spaces.
    :param token_lifetime_seconds: How long they live.
    :param expired_status: The HTTP status for one that has expired: the pages say 401, an older one 403.
    :param jwt_algorithm: The algorithm of the key that :meth:`TokenDesk.private_key` gives out.
    """

    client_id: str
    client_secret: str
    scopes: str = "data-reports:read data-reports:write"
    token_lifetime_seconds: float = 600.0  # no page gives a number
    expired_status: int = 401
    jwt_algorithm: str = "ES256"


def read_client(given: Fields, client: Client) -> Client:
    """Read changes of settings."""
    changes = given.changed(client, expired_status=(401, 403), jwt_algorithm=ALGORITHMS)
    return replace(client, **changes)


class TokenDesk:
    """Gives tokens to its client and checks them.

    :param clock: The sandbox's clock.
    :param urls: The addresses of the origins.
    """

    def __init__(self, clock: Clock, urls: Mapping[Origin, str]) -> None:
        # Made up anew at each start and easy to recognise, so that a test can look for leaked ones.
        self.client = Client(
            client_id=f"sandbox-client-{secrets.token_urlsafe(6)}",
            client_secret=f"sandbox-password-talkdesk-{secrets.token_urlsafe(12)}",
        )
        self.issued = 0
        self.refused = 0
        self._clock = clock
        self._urls = urls
        self._keys: dict[str, PrivateKey] = {}  # by algorithm
        self._tokens: dict[str, tuple[float, tuple[str, ...]]] = {}  # token -> when it expires, its scopes
        self._used_ids: set[object] = set()

    def rotate_keys(self) -> None:
        """Forget the key pairs, so that assertions signed with them are refused."""
        self._keys.clear()

    def private_key(self) -> tuple[str, str, str]:
        """Return the private key as PEM, its id and its algorithm."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        pem = self._key(self.client.jwt_algorithm).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return pem.decode(), _key_id(self.client.jwt_algorithm), self.client.jwt_algorithm

    def revoke(self) -> int:
        """End all tokens and return how many there were."""
        now = self._clock.now()
        alive = [token for token, (expires_at, _) in self._tokens.items() if expires_at > now]
        for token in alive:
            self._tokens[token] = (now, self._tokens[token][1])
        return len(alive)

    def check(self, header: str, scope: str) -> None:
        """Check the ``Authorization`` header of an API request.

        :raises web.HTTPException: The token is no good, or not for this.
        """
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or token not in self._tokens:
            raise web.HTTPUnauthorized(text="The access token is missing or unknown.")
        expires_at, scopes = self._tokens[token]
        if expires_at <= self._clock.now():
            if self.client.expired_status == 403:
                raise web.HTTPForbidden(text="The access token has expired.")
            raise web.HTTPUnauthorized(text="The access token has expired.")
        if scope not in scopes:
            raise web.HTTPForbidden(text=f"The access token lacks the scope {scope}.")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a token request."""
        try:
            scopes = self._granted(request, await request.read())
        except TokenRefused as refusal:
            self.refused += 1
            body = {"error": refusal.error, "error_description": str(refusal)}
            return web.json_response(body, status=refusal.status)
        self.issued += 1
        token = f"sandbox-token-talkdesk-{self.issued}-{secrets.token_urlsafe(12)}"
        self._tokens[token] = (self._clock.now() + self.client.token_lifetime_seconds, scopes)
        return web.json_response(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": int(self.client.token_lifetime_seconds),
                "scope": " ".join(scopes),
            }
        )

    def _granted(self, request: web.Request, body: bytes) -> tuple[str, ...]:
        if request.content_type != "application/x-www-form-urlencoded":
            raise TokenRefused(400, "invalid_request", "The body must be a URL-encoded form.")
        form = parse_qs(body.decode("latin-1"), keep_blank_values=True, encoding="utf-8")
        fields = {name: values[0] for name, values in form.items()}
        basic = request.headers.get("Authorization")
        unknown_type = fields.get("client_assertion_type") != ASSERTION_TYPE
        invalid = {
            "A field stands twice.": any(len(values) > 1 for values in form.values()),
            "Give either Basic credentials or a client_assertion.": (basic is None)
            == ("client_assertion" not in fields),
            "grant_type is missing.": "grant_type" not in fields,
            "client_assertion_type is missing or unknown.": basic is None and unknown_type,
        }
        for message, wrong in invalid.items():
            if wrong:
                raise TokenRefused(400, "invalid_request", message)
        if fields["grant_type"] != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type", "Only client_credentials is known.")
        if basic is not None:
            self._check_secret(basic)
        else:
            self._check_assertion(fields["client_assertion"])
        own = tuple(self.client.scopes.split())
        scopes = tuple(fields.get("scope", "").split()) or own
        if not set(scopes) <= set(own):
            raise TokenRefused(400, "invalid_scope", "A scope is unknown, or not for this client.")
        return scopes

    def _check_secret(self, header: str) -> None:
        scheme, _, value = header.partition(" ")
        try:
            given = base64.b64decode(value, validate=True)
        except ValueError:  # no base64, or no ASCII
            given = b""
        expected = f"{self.client.client_id}:{self.client.client_secret}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(given, expected):
            raise TokenRefused(401, "invalid_client", "The client id or the client secret is wrong.")

    def _check_assertion(self, assertion: str) -> None:
        import jwt

        try:
            key_id = jwt.get_unverified_header(assertion).get("kid")
            algorithm = next((name for name in ALGORITHMS if _key_id(name) == key_id), None)
            if algorithm is None:
                raise TokenRefused(401, "invalid_client", "The assertion's kid is missing or unknown.")
            claims = jwt.decode(
                assertion,
                self._key(algorithm).public_key(),
                algorithms=[algorithm],
                audience=f"{self._urls['auth']}{TOKEN_PATH}",
                issuer=self.client.client_id,
                subject=self.client.client_id,
                # Times are checked below, against the sandbox's clock.
                options={
                    "require": list(REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(401, "invalid_client", f"The assertion is no good: {error}.") from error
        expires_at = claims["exp"]
        if not isinstance(expires_at, int | float) or expires_at <= self._clock.now():
            raise TokenRefused(401, "invalid_client", "The assertion has expired.")
        if claims["jti"] in self._used_ids:
            raise TokenRefused(401, "invalid_client", "The assertion was used before.")
        self._used_ids.add(claims["jti"])

    def _key(self, algorithm: str) -> PrivateKey:
        # Made at its first use: an RSA key takes a while, and most sandboxes need none.
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        if algorithm not in self._keys:
            self._keys[algorithm] = (
                ec.generate_private_key(ec.SECP256R1())
                if algorithm == "ES256"
                else rsa.generate_private_key(public_exponent=65537, key_size=2048)
            )
        return self._keys[algorithm]


def _key_id(algorithm: str) -> str:
    return f"sandbox-key-{algorithm.lower()}"
