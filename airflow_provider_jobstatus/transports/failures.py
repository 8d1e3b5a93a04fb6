"""Errors of a client library as ours: without its own text, which may hold the whole URL."""

from __future__ import annotations

import ssl

from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.http import Request
from airflow_provider_jobstatus.core.responses import error_of

#: What is said of a call that has waited in vain for the one exchange of its login.
LOGIN_BUSY = "another call's exchange of the same login took too long"


def causes(error: BaseException) -> list[BaseException]:
    """Return ``error`` and what caused it, the innermost last."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


#: How OpenSSL, by its version, calls an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")


def reason(error: BaseException) -> str:
    """Say what a client library's error is about, without its own text, which may hold the whole URL."""
    for link in reversed(causes(error)):
        if isinstance(link, ssl.SSLError) and link.reason in _NO_TLS:
            return (
                "the server speaks plain http there, and no TLS; if that is meant, write http://... as the "
                "connection's host, with extra 'allow_http' unless it is this machine"
            )
        if isinstance(link, OSError) and link.strerror:
            return f"{type(link).__name__}: {link.strerror}"
    return type(causes(error)[-1]).__name__


def no_reply(kind: type[TransportError], request: Request, text: str) -> TransportError:
    """Return the error of a request that brought no usable reply."""
    return error_of(kind, request, f"no usable reply ({text})")
