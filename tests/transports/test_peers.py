"""Where a name leads that a reply has named: what counts is the address that is connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.redirects import Peers
from tests.support.raw_server import RawServer, reply, says
from tests.transports.driving import TRANSPORTS, Drive, get

EVERYWHERE = pytest.mark.parametrize("drive", TRANSPORTS.values(), ids=TRANSPORTS)
#: By NAT64, 6to4 and in mapped, compatible and translated addresses, too.
CARRIED = (
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "2002:a00:1::1",
    "::ffff:0:10.0.0.1",
)
INSIDE = ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd00::1", "::10.0.0.1", *CARRIED)
#: Of no storage anywhere.
NOBODYS = (
    *("169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "?"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "64:ff9b:1:a00:0:100::"),
)
#: What a network without IPv4 of its own is told for a public name.
PUBLIC = (
    *("93.184.215.14", "2606:2800:21f:cb07::1"),
    *("64:ff9b::5db8:d70e", "64:ff9b:1::5db8:d70e", "2002:5db8:d70e::1", "::ffff:93.184.215.14"),
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """A server of this machine that a public name leads to."""
    look_up = socket.getaddrinfo

    def lying(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if host == "files.example.com" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    with RawServer(says(reply(200, b"ok"))) as server:
        yield server


def named(server: RawServer, own_first: bool = False) -> Flow[bytes]:
    """Ask for what a reply has named; before, if told, the vendor itself."""
    if own_first:
        yield get(f"{server.url}/own")
    response = yield get(f"http://files.example.com:{server.port}/file", anonymous=True)
    body: bytes = response.body
    return body


@EVERYWHERE
def test_a_public_name_that_leads_into_the_network_is_sent_nothing(drive: Drive, server: RawServer) -> None:
    with pytest.raises(UnexpectedResponse, match="a name whose address is inside the network"):
        drive(named(server))
    assert server.requests == []


@EVERYWHERE
def test_a_vendor_inside_the_network_may_keep_its_files_there(drive: Drive, server: RawServer) -> None:
    assert drive(named(server, own_first=True)) == b"ok"


@EVERYWHERE
def test_through_a_proxy_the_address_is_no_concern_of_ours(
    drive: Drive, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    assert drive(named(server)) == b"ok"
    assert [request.target for request in server.requests] == [f"http://files.example.com:{server.port}/file"]


@pytest.mark.parametrize("address", [*INSIDE, *NOBODYS])
def test_from_the_outside_only_public_addresses_are_called(address: str) -> None:
    peers = Peers()
    for public in PUBLIC:
        peers.check(get("https://api.example.com/"), public)
        peers.check(get("https://files.example.com/", anonymous=True), public)
    with pytest.raises(UnexpectedResponse):
        peers.check(get("https://files.example.com/", anonymous=True), address)


@pytest.mark.parametrize("own", INSIDE)
def test_from_the_inside_nobody_is_led_to_an_address_of_no_storage(own: str) -> None:
    peers = Peers()
    peers.check(get("https://api.example.com/"), own)
    for address in ("93.184.215.14", *INSIDE):
        peers.check(get("https://files.example.com/", anonymous=True), address)
    for address in NOBODYS:
        with pytest.raises(UnexpectedResponse):
            peers.check(get("https://files.example.com/", anonymous=True), address)
