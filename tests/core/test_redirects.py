"""Where the one redirect that is followed may lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.redirects import REDIRECTS, target_of

OUTSIDE = "https://api.talkdeskapp.com/data/reports/calls/files/0f9c"
INSIDE = "http://127.0.0.1:8600/data/reports/calls/files/0f9c"


def target(location: str | None, asked: str = OUTSIDE, status: int = 303) -> str:
    headers = {} if location is None else {"location": location}
    return target_of(Request("talkdesk", "GET", asked), Response(status, headers))


def test_the_redirects_are_those_that_lead_somewhere() -> None:
    assert {300, 301, 302, 303, 307, 308} == REDIRECTS


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=a%2Fb",
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=a%2Fb",
        ),
        ("HTTPS://Storage.Example:8443/k", "https://Storage.Example:8443/k"),
        ("//cdn.example/k", "https://cdn.example/k"),
        ("https://cdn.example/a%2fb|c?n=%7e&e=", "https://cdn.example/a%2fb|c?n=%7e&e="),
        ("https://cdn.example/\u00fc?\u20ac", "https://cdn.example/%c3%bc?%e2%82%ac"),
        ("/stored/k?sig=1", "https://api.talkdeskapp.com/stored/k?sig=1"),
        ("k", "https://api.talkdeskapp.com/data/reports/calls/files/k"),
        ("https:///k", "https://api.talkdeskapp.com/k"),
        ("https://8.8.8.8/k", "https://8.8.8.8/k"),
        ("https://[2606:4700::1111]/k", "https://[2606:4700::1111]/k"),
        ("https://[64:ff9b::808:808]/k", "https://[64:ff9b::808:808]/k"),
        ("https://[64:ff9b:1::808:808]/k", "https://[64:ff9b:1::808:808]/k"),
        ("https://[2002:808:808::1]/k", "https://[2002:808:808::1]/k"),
        ("https://[::ffff:8.8.8.8]/k", "https://[::ffff:8.8.8.8]/k"),
        ("https://1.s3.example0/k", "https://1.s3.example0/k"),
        ("https://cdn.example/my report.csv?sig=a b", "https://cdn.example/my%20report.csv?sig=a%20b"),
        ("https://cdn.example/my\treport?sig=\x0b", "https://cdn.example/my%09report?sig=%0b"),
        ("https://cdn.example/k;?sig=1", "https://cdn.example/k;?sig=1"),
        ("//cdn.example/k;v=;?sig=1#", "https://cdn.example/k;v=;?sig=1#"),
        ("/k;?sig=1&?", "https://api.talkdeskapp.com/k;?sig=1&?"),
        ("/k?", "https://api.talkdeskapp.com/k?"),
        ("k;?sig=/../x", "https://api.talkdeskapp.com/data/reports/calls/files/k;?sig=/../x"),
        ("?sig=1;", "https://api.talkdeskapp.com/data/reports/calls/files/0f9c?sig=1;"),
    ],
)
def test_a_storage_outside_is_called(location: str, url: str) -> None:
    assert target(location).lower() == url.lower()


@pytest.mark.parametrize("status", sorted(REDIRECTS))
@pytest.mark.parametrize("location", [None, ""])
def test_a_missing_location_is_no_place(location: str | None, status: int) -> None:
    with pytest.raises(UnexpectedResponse, match="redirects without saying where") as caught:
        target(location, status=status)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "location",
    [
        *("http://storage.example/k", "file:///etc/passwd", "ftp://storage.example/k", "data:text/csv,a"),
        *("javascript:1", "https://user@storage.example/k", "https://user:pass@storage.example/k"),
        *("https://@storage.example/k", "https://api.talkdeskapp.com@storage.example/k"),
        *("https://a\\@b.example/k", "https://storage .example/k", "https://storage.example\t/k"),
        *("//storage example/k", "https://[storage/k", "https://storage.example:99999/k"),
        *("https://lºcalhost/k", "https://127.0.0.¹/k", "https://stor\u00adage.example/k"),
    ],
)
def test_an_address_that_is_not_to_be_called_is_refused_without_being_shown(location: str) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        target(location)
    assert "storage" not in str(caught.value)
    assert "/k" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "db.localhost", "printer.local"),
        *("metadata.google.internal", "metadata.google.internal.", "127.0.0.1", "127.0.0.1.", "127.1"),
        *("2130706433", "0x7f000001", "0x7f.0.0.0xa", "0xa9.0xfe.0xa9.0xfe", "0xa9fea9fe", "0xA9FEA9FE"),
        *("0251.0376.0251.0376", "0.0.0.0", "169.254.169.254", "vault", "10.0.0.1", "172.16.0.1"),
        *("192.168.1.1", "100.64.0.1", "[::1]", "[::]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]"),
        *("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::10.1.2.3]", "[64:ff9b:1::7f00:1]"),
        *("[64:ff9b:1:a9fe:a9:fe00::]", "[2002:c0a8:101::1]", "[2002:a9fe:a9fe:8::9]", "[::10.0.0.9]"),
        *("[::ffff:0:127.0.0.1]", "[2001::7f00:1]"),
    ],
)
def test_nobody_outside_leads_us_to_an_address_inside_the_network(host: str) -> None:
    for location in (f"https://{host}/latest/meta-data", f"//{host}:8443/k"):
        with pytest.raises(UnexpectedResponse, match="redirects to an address inside the network"):
            target(location)


def test_a_vendor_inside_may_have_its_storage_inside() -> None:
    assert target("http://127.0.0.1:8602/k", INSIDE) == "http://127.0.0.1:8602/k"
    assert target("https://10.0.0.7/k", "https://10.0.0.1/f") == "https://10.0.0.7/k"
    assert target("https://storage.example/k", INSIDE) == "https://storage.example/k"


def test_a_vendor_over_https_does_not_lead_to_plain_http_anywhere() -> None:
    for location in ("http://127.0.0.1/k", "http://10.0.0.7/k"):
        with pytest.raises(UnexpectedResponse, match="not to be called"):
            target(location, "https://10.0.0.1/f")


@given(location=st.text(max_size=60))
def test_no_location_ends_in_another_error_or_another_scheme(location: str) -> None:
    for prefix in ("", "https://", "//"):
        try:
            url = target(prefix + location)
        except UnexpectedResponse:
            continue
        assert url.startswith("https://")
