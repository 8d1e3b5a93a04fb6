"""What ``requests`` and all below it raise, and the error of ours that it is."""

from __future__ import annotations

import http.client
import re

import requests
import urllib3

from airflow_provider_jobstatus.core.errors import SendError, TransportError
from airflow_provider_jobstatus.core.http import Request
from airflow_provider_jobstatus.transports.failures import causes, no_reply, reason
from airflow_provider_jobstatus.transports.proxies import proxy_for, through_proxy

#: What ``requests`` and all below it raise.
CLIENT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    MemoryError,
    ValueError,
)


def transport_error(
    request: Request, error: Exception, late: bool, connecting: bool = False
) -> TransportError:
    unsent = isinstance(error, requests.exceptions.InvalidURL) or (connecting and not late)
    if late:
        text = "the call took too long as a whole"
    elif type(error) is ValueError:  # ours: says what is wrong and quotes nothing
        text = str(error)
    else:
        text = reason(error)
    if unsent and proxy_for(request.url):
        text = through_proxy(request.url, _tunnel_status(error), text)
    return no_reply(SendError if unsent else TransportError, request, text)


def _tunnel_status(error: Exception) -> int | None:
    """Return the status by which a proxy has refused a tunnel, of which http.client leaves but a text."""
    texts = (str(link) for link in causes(error) if type(link) is OSError)
    found = next(filter(None, (re.match(r"Tunnel connection failed: (\d{3})", text) for text in texts)), None)
    return int(found[1]) if found else None
