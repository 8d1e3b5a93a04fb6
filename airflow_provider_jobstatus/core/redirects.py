"""The one redirect that a flow may follow, from a vendor to the storage of a file, and where it may lead."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from string import printable, whitespace
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_jobstatus.core.auth import origin
from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.responses import unexpected
from airflow_provider_jobstatus.core.text import clean

REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
#: IPv6 networks whose addresses end in the IPv4 address that they lead to: compatible, mapped, translated,
#: and by NAT64 (RFC 4291, 2765, 6052).
_CARRIERS = tuple(map(ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
# The part of an address that a path within the API is resolved with; and what stands before all paths.
_PLACE = re.compile(r"[^;?#]*")
_FRONT = re.compile(r"\A(?:[^:/?#]+:)?//[^/?#]*")
# A library drops some of these from a host.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f]")
# Blanks and line breaks cannot be sent.
_SENT_AS_IT_IS = "".join(set(printable) - set(whitespace))
#: RFC 8215.
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")


def target_of(request: Request, response: Response) -> str:
    """
    Return the address of a redirect, if it may be followed.

    :raises UnexpectedResponse: it names no address; not one of https, unless the vendor itself is called over
        http; one with a user in it; or, from outside, one inside the network.
    """
    url = location_of(request, response)
    named_user = urlsplit(url).username is not None
    scheme, host, _ = origin(url)
    own_scheme, own_host, _ = origin(request.url)
    # Some clients read letters outside ASCII as ASCII, such as the full-width letters of "localhost".
    if not host or not host.isascii() or named_user or scheme not in ("https", own_scheme):
        raise unexpected(request, "redirects to an address that is not to be called", response.status)
    if (_is_inside(host) and not _is_inside(own_host)) or _is_nowhere(host):
        raise unexpected(request, "redirects to an address inside the network", response.status)
    # Unchanged, but for characters that no request can carry.
    return quote(url, safe=printable)


def location_of(request: Request, response: Response) -> str:
    """
    Return the address that a redirect names.

    :raises UnexpectedResponse: it names none, or something else.
    """
    location = response.headers.get("location", "")
    if not location:
        raise unexpected(request, "redirects without saying where", response.status)
    front = _FRONT.match(location)
    end = front.end() if front else 0
    location = location[:end] + quote(location[end:], safe=_SENT_AS_IT_IS)
    # A library drops empty parts, such as the ";" of an address that is signed as a whole.
    place = _PLACE.match(location)[0]  # type: ignore[index]
    base = request.url if place else re.split("[?#]", request.url)[0]
    try:
        if _AMBIGUOUS.search(location[:end]):
            raise ValueError
        url: str = urljoin(base, place) + location[len(place) :]
        urlsplit(url)
    except ValueError:
        raise unexpected(request, "redirects to what is no address", response.status) from None
    return url


def place_of(request: Request, response: Response) -> str:
    """Return host and path of a redirect's address, for a message; the rest may be a signature."""
    try:
        parts = urlsplit(location_of(request, response))
    except UnexpectedResponse:
        return "what is no address" if response.headers.get("location") else "nowhere"
    path = re.split("[;?#]|%3[BbFf]|%23", parts.path)[0]
    return clean(parts.netloc.rpartition("@")[2] + path, 200) or "nowhere"


class Peers:
    """
    The addresses to which a client connects: only they show where a name leads.

    A vendor inside the network, such as a gateway or a sandbox, may keep its files there, too; one outside
    may not redirect us into it. Connections of a proxy are the proxy's concern.
    """

    def __init__(self) -> None:
        self._inside = False

    def check(self, request: Request, address: str) -> None:
        """
        Check the address of a connection for ``request``.

        :raises UnexpectedResponse: a reply has named the host, and it is inside the network.
        """
        peer = _address(address)
        if not request.anonymous:
            self._inside = self._inside or peer is None or not peer.is_global
        elif peer is None or _is_no_storage(peer) or not (peer.is_global or self._inside):
            raise unexpected(request, "was redirected to a name whose address is inside the network")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text spells; of one that only carries another, the other."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.sixtofour is not None:
        return address.sixtofour
    last, before = int(address) & 0xFFFFFFFF, int(address) >> 32 & 0xFFFFFFFF
    if address in _LOCAL_NAT64:
        # Each network decides where in it the other stands; as a rule, at the end.
        return IPv4Address(0 if before else last)
    return IPv4Address(last) if any(address in network for network in _CARRIERS) else address


def _is_no_storage(address: IPv4Address | IPv6Address) -> bool:
    """Return whether no storage of a vendor has such an address: a cloud's metadata are link-local."""
    return address.is_link_local or address.is_unspecified or address.is_multicast


def _is_nowhere(host: str) -> bool:
    address = _address(host)
    # A number in an unusual form only hides an address.
    return _is_no_storage(address) if address else _looks_like_a_number(host.rstrip("."))


def _looks_like_a_number(name: str) -> bool:
    # A name that ends in a number, decimal or hexadecimal, is an address to some resolvers, and never public.
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None


def _is_inside(host: str) -> bool:
    name = host.rstrip(".")
    # A name without a dot is looked up in the network's own domain.
    if not re.search(r"[.:]", name) or name.endswith((".localhost", ".local", ".internal")):
        return True
    address = _address(name)
    return not address.is_global if address else _looks_like_a_number(name)
