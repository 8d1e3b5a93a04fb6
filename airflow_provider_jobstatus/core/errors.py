"""
Errors of a conversation with a vendor.

::

    VendorError                vendor, method and path, status
      TransportError           no usable reply
        SendError              certain that nothing was sent
      ApiError                 a status that we did not expect
        AccessDenied           401, 403; login
        NotFound               404, 410
        RateLimited            429; spent
        ServerError            5xx, and 408 and 425: try again later
        RequestRejected        any other 4xx
      UnexpectedResponse       wrong content, unknown word
    SettingsError              connection or job id unusable

A message never holds headers, query strings or bodies with secrets, nor the text of an HTTP library's own
exception (which may hold the whole URL).
"""

from __future__ import annotations

import copy
import copyreg
from collections.abc import Iterable
from typing import Any, Self

from airflow_provider_jobstatus.core.text import TEXT_LIMIT, clean


class VendorError(Exception):
    """
    A request to a vendor that brought no usable response.

    :param reason: what came back, in a few words.
    :param vendor: the connection type, such as ``"ruler"``.
    :param method: of the request.
    :param path: of the request, without query.
    :param status: HTTP status, where there was one.
    :param host: of the request, with its port if it names one.

    :ivar conn_id: of the Airflow connection, where one is known.
    :ivar asked: whether the request was sent; False if it was left out because no response could come.
    :ivar retry_after: seconds of the reply's ``Retry-After``, whatever its status; None without one.
    :ivar own: whether a 4xx is known to be the vendor's own, rather than of a proxy or firewall before it.
    :ivar repeatable: whether the request may be repeated: not if it may already have created something.
    """

    asked = True
    conn_id = ""
    retry_after: float | None = None
    own = True
    repeatable = True

    def __init__(
        self,
        reason: str,
        *,
        vendor: str,
        method: str = "",
        path: str = "",
        status: int | None = None,
        host: str = "",
    ) -> None:
        self.reason = clean(reason)
        self.vendor = vendor
        self.method = method
        self.path = clean(path, 200)
        self.status = status
        self.host = clean(host, 200)
        super().__init__(reason)

    def __reduce__(self) -> tuple[Any, ...]:
        """Support copies and pickles: the way of an exception itself would call the constructor."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def seen_by(self, conn_id: str) -> Self:
        """
        Return a copy for another wait that meets the same error; a remark added to one is not added to both.

        :param conn_id: of its connection; empty if that is not known yet.
        """
        other = copy.copy(self)
        other.conn_id = conn_id
        return other

    def redact(self, secrets: Iterable[str]) -> None:
        """Replace our own secrets in the text, in case the vendor has echoed one."""
        # Imported late: the parse of a DAG file raises no error of a vendor.
        from airflow_provider_jobstatus.core.redaction import redact

        # The whole text, then cut: a cut may have left the beginning of a secret.
        self.reason = clean(redact(str(self.args[0]), secrets))
        self.args = (self.reason,)
        # A library's error behind ours may hold the request or quote the reply, and so may local variables of
        # the frames so far: some error trackers report both.
        self.__context__ = None
        self.__traceback__ = None

    def add(self, remark: str) -> None:
        """Append a remark of ours to the reason; a long reason is cut to make room."""
        self.reason = clean(f"{clean(self.reason, max(TEXT_LIMIT - len(remark) - 2, 80))}; {remark}")
        self.args = (self.reason,)

    def __str__(self) -> str:
        asked = f"{self.vendor} {self.method} {self.host}{self.path}" if self.method else self.vendor
        through = f" (connection {self.conn_id!r})" if self.conn_id else ""
        return f"{asked}{through}: {self.reason}"


class TransportError(VendorError):
    """No usable reply: no connection, TLS trouble, a time-out, a broken or oversized body."""


class SendError(TransportError):
    """As :class:`TransportError`, and certain that nothing was sent."""


class ApiError(VendorError):
    """A status that the flow did not expect."""


class AccessDenied(ApiError):
    """
    401 or 403: the credential or its permissions are refused.

    :ivar login: whether a login was refused, which too many tries may lock.
    :ivar credential: what the connection shows to the vendor, named in the vendor's words.
    :ivar refused_since: when these very settings of the connection were first refused, in epoch seconds; None
        if that is not known.
    """

    login = False
    credential = "the credential"
    refused_since: float | None = None


class NotFound(ApiError):
    """404 or 410."""


class RateLimited(ApiError):
    """
    429.

    :ivar spent: the licence's calls are used up: waiting cannot help.
    """

    spent = False


class ServerError(ApiError):
    """5xx, 408 or 425: a later request may succeed."""


class RequestRejected(ApiError):
    """Any other 4xx: our own request is wrong."""


class UnexpectedResponse(VendorError):
    """A reply that is not what the vendor documents: other content, a broken body, an unknown status word."""


class SettingsError(Exception):
    """A connection or a job id that cannot be used, found before anything was sent."""


def unreadable(conn_id: str, reason: str) -> TransportError:
    """Return the error of a connection that could not be read now; another try may succeed."""
    return TransportError(f"connection {conn_id!r} cannot be read ({reason})", vendor="Airflow")
