"""The one redirect that a flow may follow: from a vendor to the storage of a file."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from airflow_provider_jobstatus.core.auth import origin
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.replies import unexpected

REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})


def target_of(request: Request, response: Response) -> str:
    """
    Return where a redirect leads, if that is a place to call.

    :raises UnexpectedResponse: nowhere; not https, unless the vendor itself is called over http; with a user
        in it; or
        from the outside to an address inside the network.
    """
    location = response.headers.get("location", "")
    if not location:
        raise unexpected(request, "redirects without saying where", response.status)
    try:
        url = urljoin(request.url, location)
        named_user = urlsplit(url).username is not None
    except ValueError:
        raise unexpected(request, "redirects to what is no address", response.status) from None
    scheme, host, _ = origin(url)
    own_scheme, own_host, _ = origin(request.url)
    # Some clients read letters outside ASCII as others: the full-width ones of "localhost", for one.
    if not host or not host.isascii() or named_user or scheme not in ("https", own_scheme):
        raise unexpected(request, "redirects to an address that is not to be called", response.status)
    if _is_inside(host) and not _is_inside(own_host):
        raise unexpected(request, "redirects to an address inside the network", response.status)
    return url


def _is_inside(host: str) -> bool:
    name = host.rstrip(".")
    # A name without a dot is looked up in the network's own domain.
    if not re.search(r"[.:]", name) or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ip_address(name).is_global
    except ValueError:
        # What ends in a number, decimal or hexadecimal, is an address to some resolvers, and no public name.
        return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None
