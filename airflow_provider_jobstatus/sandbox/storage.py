"""A stand-in for the object storage that a vendor keeps its files in, reached by signed URLs.

Sources: https://docs.talkdesk.com/reference/download-a-report for the redirect to a signed URL;
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html for what such a URL does.

It is stricter than the real one: a cookie or an API key does not belong here either, so a client that sends
one has leaked it.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from aiohttp import web

from airflow_provider_jobstatus.sandbox.files import StoredFile, send_file
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock

CREDENTIAL_HEADERS = ("Authorization", "Cookie", "api-key", "apiKey", "X-Aftercare-Key", "X-Api-Key")
TIME_FORM = "%Y%m%dT%H%M%SZ"


class Storage:
    """Files by path, for requests with a signed URL.

    :param clock: The sandbox's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._files: dict[str, StoredFile] = {}

    @property
    def routes(self) -> list[web.RouteDef]:
        """The endpoints; whatever the path is, a leaked credential is to be seen first."""
        return [web.route("*", "/{path:.*}", self._answer)]

    def put(self, path: str, file: StoredFile) -> None:
        """Keep a file, or replace the one at this path.

        :param path: The path as it stands on the request line.
        """
        self._files[path] = file

    def remove(self, path: str) -> None:
        """Forget a file."""
        self._files.pop(path, None)

    def sign(self, path: str, lifetime_seconds: float) -> str:
        """Return the path with a query that opens it for a time."""
        date = datetime.fromtimestamp(self._clock.now(), UTC).strftime(TIME_FORM)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": "sandbox/storage/aws4_request",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(int(lifetime_seconds)),
            "X-Amz-SignedHeaders": "host",
        }
        signature = self._signature(path, query["X-Amz-Date"], query["X-Amz-Expires"])
        return f"{path}?{urlencode(query | {'X-Amz-Signature': signature})}"

    def _signature(self, path: str, date: str, lifetime: str) -> str:
        text = f"GET\n{path}\n{date}\n{lifetime}"
        # Easy to recognise, so that a test can look for a signed URL where none belongs.
        return f"sandbox-signature-{hmac.new(self._secret, text.encode(), 'sha256').hexdigest()}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if any(name in request.headers for name in CREDENTIAL_HEADERS):
            return _error(
                400, "InvalidArgument", "Only one auth mechanism allowed: the signature of the URL."
            )
        path = request.raw_path.partition("?")[0]
        date, lifetime = request.query.get("X-Amz-Date", ""), request.query.get("X-Amz-Expires", "")
        given = request.query.get("X-Amz-Signature", "")
        if not given:
            return _error(403, "AccessDenied", "Access Denied")
        right = hmac.compare_digest(
            given.encode("utf-8", "replace"), self._signature(path, date, lifetime).encode()
        )
        if request.method != "GET" or not right:
            return _error(403, "SignatureDoesNotMatch", "The signature does not match the request.")
        signed_at = datetime.strptime(date, TIME_FORM).replace(tzinfo=UTC).timestamp()
        if self._clock.now() >= signed_at + float(lifetime):
            return _error(403, "AccessDenied", "Request has expired")
        if path not in self._files:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return send_file(request, self._files[path])


def _error(status: int, code: str, message: str) -> web.Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<RequestId>{secrets.token_hex(8).upper()}</RequestId></Error>"
    )
    return web.Response(status=status, text=text, content_type="application/xml")
