"""The contract of the two transports: the same flow against the same server ends in the same way."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.body import MAX_BODY_BYTES
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.responses import expect_json
from airflow_provider_jobstatus.transports.environment import CallLimits
from tests.support.raw_server import Handler, RawServer, Received, reply, reset, says
from tests.transports.conftest import Certificates
from tests.transports.driving import (
    TRANSPORTS,
    Drive,
    Failure,
    ask,
    ask_body,
    ask_expecting,
    attempt,
    get,
    send,
)

pytestmark = pytest.mark.parametrize("drive", TRANSPORTS.values(), ids=TRANSPORTS)

NO_REPLY = Failure(TransportError)
ZEROS = b"\0" * (MAX_BODY_BYTES + 1)
GZIPPED = gzip.compress(b'{"a": 1}')


def coded(coding: str, body: bytes) -> bytes:
    return reply(body=body, headers={"Content-Encoding": coding})


def chunked(*lines: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(line + b"\r\n" for line in lines)


#: Value of a header ``X`` whose line has 64 KiB.
LONGEST = 65_536 - len(b"X: \r\n")


def with_status(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n12345"


def with_head(*lines: bytes, body: bytes = b"12345") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", body])


def headed(*lines: bytes) -> Handler:
    return says(with_head(*lines, b"Content-Length: 5"))


def closing(answer: bytes) -> Handler:
    return says(answer, close=True)


def resetting(begin: bytes) -> Handler:
    def handle(_: Received, connection: socket.socket) -> None:
        connection.sendall(begin)
        reset(connection)

    return handle


#: Replies that are read, and what they are.
READ: dict[str, tuple[Handler, tuple[int, bytes]]] = {
    "JSON": (says(reply(200, b'{"a": 1}')), (200, b'{"a": 1}')),
    "an empty body": (says(reply(200)), (200, b"")),
    "204": (says(reply(204)), (204, b"")),
    "404 with a body": (says(reply(404, b"no")), (404, b"no")),
    "500 with a body": (says(reply(500, b"ouch")), (500, b"ouch")),
    "a body that ends with the connection": (closing(reply(200, b"half", length=False)), (200, b"half")),
    "chunks": (says(chunked(b"3", b"abc", b"2;x=y", b"de", b"0", b"")), (200, b"abcde")),
    "an interim reply first": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(200, b"ok")), (200, b"ok")),
    "the largest body": (says(reply(200, ZEROS[1:])), (200, ZEROS[1:])),
    "gzip that was not asked for": (says(coded("gzip", GZIPPED)), (200, b'{"a": 1}')),
    "gzip of no body": (
        says(with_head(b"Content-Encoding: gzip", b"Content-Length: 0", body=b"")),
        (200, b""),
    ),
    "a header of 60 KB": (headed(b"X: " + b"x" * 60_000), (200, b"12345")),
    "the longest header": (headed(b"X: " + b"x" * LONGEST), (200, b"12345")),
    "two long headers of one name": (headed(b"X: " + b"x" * 40_000, b"X: " + b"y" * 40_000), (200, b"12345")),
    "99 headers": (headed(*(b"X-%d: x" % number for number in range(98))), (200, b"12345")),
    "no reason": (says(with_status(b"200")), (200, b"12345")),
    "an empty reason": (says(with_status(b"200 ")), (200, b"12345")),
    "a reason of 60 KB": (says(with_status(b"200 " + b"r" * 60_000)), (200, b"12345")),
    "a reason in UTF-8": (says(with_status("404 Nicht gefunden \u00fc".encode())), (404, b"12345")),
    "a reason in Latin-1": (says(with_status(b"503 indispon\xedvel")), (503, b"12345")),
    "a reason with a tab and a colon": (says(with_status(b"200 O\tK: yes")), (200, b"12345")),
    "a hint first": (
        says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, b"ok")),
        (200, b"ok"),
    ),
    "several interim replies first": (
        says(b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 199 ?\r\n\r\n" + reply(404, b"no")),
        (404, b"no"),
    ),
    "a space before the first name": (says(with_head(b" Content-Length: 5")), (200, b"12345")),
    "a folded value": (headed(b"X: a", b" b: c", b"\td"), (200, b"12345")),
}

#: Replies that are not read.
UNREAD: dict[str, Handler] = {
    "a body that is too large": says(reply(200, ZEROS)),
    "chunks that are too large": closing(chunked(b"%x" % len(ZEROS), ZEROS, b"0", b"")),
    "a gzip bomb": says(coded("gzip", gzip.compress(ZEROS * 8))),
    "two fields of codings": headed(b"Content-Encoding: none", b"Content-Encoding: br"),
    "gzip of a body without end": closing(with_head(b"Content-Encoding: gzip", body=b"")),
    "an unknown coding": says(coded("br", b"\x8b\x02")),
    "a body shorter than its length": closing(with_head(b"Content-Length: 6")),
    "a body of which nothing comes": closing(with_head(b"Content-Length: 6", body=b"")),
    "chunks cut inside one": closing(chunked(b"5")[:-2] + b"\r\nabc"),
    "chunks without an end": closing(chunked(b"3", b"abc")),
    "chunks without a size": closing(chunked(b"three", b"abc", b"0", b"")),
    "a garbage status line": closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a status that is no number": closing(b"HTTP/1.1 abc OK\r\n\r\n"),
    "a header of 100 KB": headed(b"X: " + b"x" * 100_000),
    "a header longer than that": headed(b"X: " + b"x" * LONGEST + b"x"),
    "a longer one with a long name": headed(b"X" * 400 + b": " + b"x" * (LONGEST - 390)),
    "100 headers": headed(*(b"X-%d: x" % number for number in range(99))),
    "a line that is no header": says(with_head(b"Content-Length: 5", b"no header")),
    "a reason that is too long": says(with_status(b"200 " + b"r" * 65_536)),
    **{
        f"a reason with a NUL or a CR, {reason!r}": closing(with_status(b"200 " + reason))
        for reason in (b"O\0K", b"\0", b"O\rK", b"OK\r")
    },
    "a head cut in its status": closing(b"HTTP/1.1 20"),
    "a head cut behind its status": closing(b"HTTP/1.1 200 OK\r\n"),
    "a head cut in a name": closing(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a head cut in a value": closing(b"HTTP/1.1 200 OK\r\nContent-Length: 0"),
    "a head cut before its end": closing(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    "50,000 headers": headed(*(b"X-%d: x" % number for number in range(50_000))),
    "a negative length": says(with_head(b"Content-Length: -5")),
    "two lengths": says(with_head(b"Content-Length: 5", b"Content-Length: 4")),
    "one length twice": headed(b"Content-Length: 5"),
    "a length beside chunks": says(
        with_head(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"5\r\n12345\r\n0\r\n\r\n")
    ),
    "a length with a sign": says(with_head(b"Content-Length: +5")),
    "a length in words": says(with_head(b"Content-Length: five")),
    "an empty length": says(with_head(b"Content-Length: ")),
    "more white space before it": closing(with_head(b"  Content-Length: 5")),
    "a tab before it": closing(with_head(b"\tContent-Length: 5")),
    "an end before any byte": closing(b""),
    "a reset before any byte": resetting(b""),
    "a reset in the body": resetting(with_head(b"Content-Length: 9")),
}


#: Lines that one reader takes for a header and another does not, or for two.
MALFORMED = [
    *(b"Content-Length : 5", b"Content-Length  : 5", b"content-length\t: 5", b"Transfer-Encoding : chunked"),
    *(b"Connection : close", b"Upgrade : x", b"X : 1", b"X\t: 1", b"X y: 1", b": 1", b"From x", b"From x: 1"),
    *(b"X(y): 1", b'"X": 1', b"X/y: 1", b"X[y]: 1", b"X@y: 1", b"{X}: 1", b"X\\y: 1", b"X,y: 1", b"X;y: 1"),
    *("\u00fc: 1".encode(), b"\xfc: 1", b"X\0: 1", b"X: 1\0", b"X: 1\rY: 2", b"X: 1\r"),
]


@pytest.mark.parametrize("media_type", [b"text/csv", b"multipart/mixed; boundary=x", b"message/rfc822"])
@pytest.mark.parametrize("line", MALFORMED)
def test_a_header_that_two_readers_may_read_in_two_ways_is_read_by_none(
    drive: Drive, line: bytes, media_type: bytes
) -> None:
    places = [(line,), (b"Content-Length: 5", line), (line, b"Content-Length: 5")]
    answers = [closing(with_head(*lines, b"Content-Type: " + media_type)) for lines in places]
    with RawServer(
        lambda received, connection: answers[int(received.target[1:])](received, connection)
    ) as server:
        for number, lines in enumerate(places):
            assert attempt(drive, ask_body(f"{server.url}/{number}")) == NO_REPLY, lines


@pytest.mark.parametrize("case", [*READ, *UNREAD])
def test_a_reply_is_read_whole_and_unchanged_or_not_at_all(drive: Drive, case: str) -> None:
    handler, expected = READ[case] if case in READ else (UNREAD[case], NO_REPLY)
    with RawServer(handler) as server:
        outcome = attempt(drive, ask_body(f"{server.url}/job"))
        assert outcome == expected
        assert {request.target for request in server.requests} == {"/job"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, RequestRejected), (401, AccessDenied), (403, AccessDenied), (404, NotFound)),
        *((408, ServerError), (410, NotFound), (425, ServerError), (429, RateLimited)),
        *((451, RequestRejected), (500, ServerError), (503, ServerError), (302, UnexpectedResponse)),
    ],
)
def test_a_status_that_a_flow_does_not_expect_is_the_same_error(
    drive: Drive, status: int, kind: type[Exception]
) -> None:
    with (
        RawServer(says(reply(status, b"why", {"Retry-After": "7"}))) as server,
        pytest.raises(kind) as caught,
    ):
        drive(ask_expecting(f"{server.url}/job?token=hidden"))
    error: Any = caught.value
    assert type(error) is kind
    assert (error.status, error.path) == (status, "/job")
    assert getattr(error, "retry_after", 7.0) == 7.0
    assert "hidden" not in str(error) + repr(error)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_an_answer_and_nobody_goes_there(drive: Drive, status: int, method: str) -> None:
    body = b"" if status == 304 else b"over there"
    with RawServer(says(reply(200, b"other"))) as other:
        location = f"{other.url}/elsewhere"
        with RawServer(says(reply(status, body, {"Location": location}))) as server:
            response = drive(send(Request("vendor", method, f"{server.url}/job")))
            assert [request.target for request in server.requests] == ["/job"]
        assert other.connections == 0
    assert (response.status, response.body) == (status, body)
    assert response.headers["location"] == location


@pytest.mark.parametrize(
    "location", ["http://[::1", "file:///etc/passwd", "//", "", "http://127.0.0.1:99999/", "?" * 5000]
)
def test_an_unusable_location_is_no_trouble_of_ours(drive: Drive, location: str) -> None:
    with RawServer(says(reply(302, b"there", {"Location": location}))) as server:
        response = drive(ask(f"{server.url}/job"))
    assert (response.status, response.body, response.headers["location"]) == (302, b"there", location)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_a_body_without_end_is_given_up_at_the_limit(drive: Drive, status: int) -> None:
    sent = 0

    def endless(_: Received, connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(reply(status, headers={"Location": "/elsewhere"}, length=False))
        while not server.ended.is_set():
            connection.sendall(ZEROS[: 1024 * 1024])
            sent += 1024 * 1024

    with RawServer(endless) as server, pytest.raises(TransportError, match="larger than"):
        drive(ask(server.url))
    # The network's own buffers hold some megabytes besides.
    assert sent < MAX_BODY_BYTES + 24 * 1024 * 1024


TARGETS = [
    *("/v1/a%2Fb/c%20d/status", "/v1/%C3%BC/%E2%82%AC", "/v1/a+b;c=d,e@f:g!$&'()*~"),
    *("/v1/job?next=%2Fa%26b%3D1&empty=&flag&plus=a+b%2B", "/?q", "/", "//double//slash/"),
    *("/v1/a%2fb/r%7E1%2D/%e2%82%ac?x=%2f%7e", "/a|b^c`d{e}<f>?x=[1]|\\", "/100%/%zz?50%"),
    *("/a/../b/./c//..", "/a?x=1?y=/../z&X-Amz-Signature=%2B%2f="),
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_is_sent_as_it_was_quoted(drive: Drive, target: str) -> None:
    with RawServer(says(reply(200))) as server:
        drive(ask(server.url + target))
        assert [request.target for request in server.requests] == [target]


@pytest.mark.parametrize("target", TARGETS)
def test_a_proxy_is_sent_the_address_as_it_was_quoted(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with RawServer(says(reply(200))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        drive(ask(f"http://127.0.0.1:1{target}"))
        assert [request.target for request in proxy.requests] == [f"http://127.0.0.1:1{target}"]


@pytest.mark.parametrize(("end", "target"), [("/a?b#c?d", "/a?b"), ("", "/")])
def test_a_fragment_is_not_sent_and_no_path_is_the_root(drive: Drive, end: str, target: str) -> None:
    with RawServer(says(reply(200))) as server:
        drive(ask(server.url + end))
        assert [request.target for request in server.requests] == [target]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        *(("GET", None), ("POST", None), ("POST", b""), ("POST", b"a=1&b=\xff\x00"), ("PUT", b"{}")),
        *(("PATCH", b"x" * 100_000), ("DELETE", None)),
    ],
)
def test_method_headers_and_body_arrive_as_the_flow_has_them(
    drive: Drive, method: str, body: bytes | None
) -> None:
    ours = {"X-Key": "k", "Accept": "text/csv", "Content-Type": "application/x-test", "User-Agent": "mine"}
    with RawServer(says(reply(200))) as server:
        drive(send(Request("vendor", method, f"{server.url}/x", ours, body)))
        [received] = server.requests
    assert (received.method, received.body) == (method, body or b"")
    assert {name: received.header(name) for name in ours} == ours
    expected = None if method == "GET" else str(len(body or b""))
    assert received.header("Content-Length") == expected


def test_a_request_carries_our_usual_headers_and_no_others(drive: Drive) -> None:
    with RawServer(says(reply(200))) as server:
        drive(send(Request("vendor", "POST", f"{server.url}/x", body=b"raw")))
        [received] = server.requests
    headers = {name.lower(): value for name, value in received.headers}
    assert headers.pop("user-agent").startswith("airflow-provider-jobstatus")
    assert headers == {
        "host": server.host,
        "accept": "application/json",
        "accept-encoding": "identity",
        "cache-control": "no-cache",
        "content-length": "3",
    }


def test_headers_of_a_reply_have_small_letters_and_repeated_ones_are_joined(drive: Drive) -> None:
    answer = with_head(b"X-A: 1", b"x-a:  2 ", b"Content-Type: Text/CSV; charset=x", b"Content-Length: 5")
    with RawServer(says(answer)) as server:
        response: Response = drive(ask(server.url))
    assert response.headers["x-a"] == "1, 2"
    assert response.content_type == "text/csv"
    assert set(response.headers) == {"x-a", "content-type", "content-length"}


def test_a_reply_knows_when_it_came(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1234.5)
    with RawServer(says(reply(200))) as server:
        assert drive(ask(server.url)).received_at == 1234.5


def test_cookies_are_never_sent_back(drive: Drive) -> None:
    def twice(url: str) -> Flow[None]:
        yield get(url)
        yield get(url)

    with RawServer(says(reply(200, headers={"Set-Cookie": "a=b; Path=/"}))) as server:
        # Some clients keep no cookies of an address anyway.
        drive(twice(server.url.replace("127.0.0.1", "localhost")))
        assert [request.header("Cookie") for request in server.requests] == [None, None]


def test_one_session_asks_many_times_on_one_connection(drive: Drive) -> None:
    def many(url: str) -> Flow[list[bytes]]:
        bodies = []
        for number in range(5):
            response = yield get(f"{url}/{number}")
            bodies.append(response.body)
        return bodies

    def echo(received: Received, connection: socket.socket) -> None:
        connection.sendall(reply(200, received.target.encode()))

    with RawServer(echo) as server:
        assert drive(many(server.url)) == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        assert server.connections == 1


def test_a_connection_that_the_server_closed_after_an_answer_is_not_used_again(drive: Drive) -> None:
    def after_the_end(url: str, closed: threading.Event) -> Flow[bytes]:
        yield get(url)
        assert closed.wait(5)
        response: Response = yield get(url)
        return response.body

    closed = threading.Event()

    def once(_: Received, connection: socket.socket) -> None:
        connection.sendall(reply(200, b"ok"))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        closed.set()

    with RawServer(once) as server:
        assert drive(after_the_end(server.url, closed)) == b"ok"


def test_an_error_is_thrown_into_the_flow_which_may_go_on(drive: Drive) -> None:
    def second_try(url: str) -> Flow[bytes]:
        request = get(url)
        with contextlib.suppress(TransportError):
            yield request
        response: Response = yield request
        return response.body

    with RawServer(says(b"garbage\r\n\r\n", reply(200, b"ok"))) as server:
        assert drive(second_try(f"{server.url}/job")) == b"ok"


def test_an_error_of_the_flow_itself_is_not_touched(drive: Drive) -> None:
    def broken(url: str) -> Flow[None]:
        yield get(url)
        raise KeyError("a bug")

    with RawServer(says(reply(200))) as server, pytest.raises(KeyError, match="a bug"):
        drive(broken(server.url))


def test_a_foreign_body_is_the_same_error(drive: Drive) -> None:
    def as_json(url: str) -> Flow[Any]:
        request = get(url)
        return expect_json(request, (yield request))

    page = reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    with RawServer(says(page)) as server, pytest.raises(UnexpectedResponse, match="text/html"):
        drive(as_json(server.url))


# Nothing was sent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_refused_connection_is_certain_not_to_have_sent_anything(drive: Drive) -> None:
    assert attempt(drive, ask(f"http://127.0.0.1:{free_port()}/")) == Failure(SendError)


def test_a_connection_that_does_not_come_about_in_time_has_not_sent_anything(drive: Drive) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # The backlog is full: further connections hang.
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        limits = CallLimits(total=5.0, connect=0.2, read=5.0)
        assert attempt(drive, ask(url), limits=limits) == Failure(SendError)


def test_tls_that_is_spoken_to_a_server_of_plain_http_is_named(drive: Drive) -> None:
    def answers_as_to_plain_http(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(reply(400, b"this is no TLS"))

    with plain_server(answers_as_to_plain_http) as port:
        with pytest.raises(SendError) as caught:
            drive(ask(f"https://127.0.0.1:{port}/"))
        assert "speaks plain http" in str(caught.value)
        assert "extra 'allow_http'" in str(caught.value)


@contextlib.contextmanager
def plain_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give each connection to a handler, whatever comes on it."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    handle(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_an_authority_that_the_connection_names_is_trusted(drive: Drive, certificates: Certificates) -> None:
    with RawServer(says(reply(200, b"ok")), certificates.right) as server:
        assert attempt(drive, ask_body(server.url), ca=certificates.authority) == (200, b"ok")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_that_the_environment_names_is_trusted(
    drive: Drive, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, certificates.authority)
    with RawServer(says(reply(200, b"ok")), certificates.right) as server:
        assert attempt(drive, ask_body(server.url)) == (200, b"ok")


def test_a_folder_of_authorities_is_taken_as_well(
    drive: Drive, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with (
        RawServer(says(reply(200, b"ok"))) as plain,
        RawServer(says(reply(200)), certificates.right) as server,
    ):
        assert attempt(drive, ask_body(plain.url)) == (200, b"ok")
        assert attempt(drive, ask(server.url)) == Failure(SendError)


#: What a server shows, by which name it is called, and whether its authority is trusted.
UNTRUSTED: dict[str, tuple[Callable[[Certificates], ssl.SSLContext], str, bool]] = {
    "an unknown authority": (lambda made: made.right, "127.0.0.1", False),
    "another host": (lambda made: made.wrong_host, "127.0.0.1", True),
    "the host as its common name alone": (lambda made: made.unnamed, "localhost", True),
    "TLS 1.0": (lambda made: made.speaking["TLSv1"], "127.0.0.1", True),
    "TLS 1.1": (lambda made: made.speaking["TLSv1_1"], "127.0.0.1", True),
}


@pytest.mark.parametrize("shown", UNTRUSTED)
def test_a_server_that_is_not_to_be_trusted_is_sent_nothing(
    drive: Drive, certificates: Certificates, shown: str
) -> None:
    context, host, trusted = UNTRUSTED[shown]
    with RawServer(says(reply(200)), context(certificates)) as server:
        ca = certificates.authority if trusted else None
        assert attempt(drive, ask(f"https://{host}:{server.port}"), ca=ca) == Failure(SendError)
        assert server.requests == []


@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
def test_tls_1_2_is_enough(drive: Drive, certificates: Certificates, newest: str) -> None:
    def version(_: Received, connection: Any) -> None:
        connection.sendall(reply(200, connection.version().encode()))

    with RawServer(version, certificates.speaking[newest]) as server:
        body = newest.replace("_", ".").encode()
        assert attempt(drive, ask_body(server.url), ca=certificates.authority) == (200, body)


def test_no_version_before_tls_1_2_is_even_offered(drive: Drive) -> None:
    """By the greeting itself: what an old server is refused for may be something else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        offers: list[set[int]] = []

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                offers.append(offered_versions(connection.recv(65536)))

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert attempt(drive, ask(f"https://127.0.0.1:{listener.getsockname()[1]}/")) == Failure(SendError)
        thread.join()
    assert offers == [{0x0304, 0x0303}]


def offered_versions(hello: bytes) -> set[int]:
    """Return the versions in a ClientHello (RFC 8446, section 4.1.2)."""
    at = 5 + 4 + 2 + 32
    for size in (1, 2, 1):  # session id, cipher suites, compression
        at += size + int.from_bytes(hello[at : at + size], "big")
    at += 2
    while at < len(hello):
        kind, length = (int.from_bytes(hello[begin : begin + 2], "big") for begin in (at, at + 2))
        if kind == 43:
            versions = hello[at + 5 : at + 4 + length]
            return {
                int.from_bytes(versions[begin : begin + 2], "big") for begin in range(0, len(versions), 2)
            }
        at += 4 + length
    raise AssertionError("no versions")


def test_a_server_that_speaks_no_tls_has_not_been_sent_anything(drive: Drive) -> None:
    with RawServer(says(b"HTTP/1.1 400 Bad Request\r\n\r\n", close=True)) as server:
        url = server.url.replace("http://", "https://")
        assert attempt(drive, ask(url), limits=CallLimits(5.0, 0.5, 5.0)) == Failure(SendError)


@pytest.mark.parametrize("bye", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_a_tls_handshake_that_fails_has_not_sent_anything(drive: Drive, bye: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(bye)

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert attempt(drive, ask(f"https://127.0.0.1:{listener.getsockname()[1]}/")) == Failure(SendError)
        thread.join()


def test_a_tls_handshake_that_hangs_has_not_sent_anything(drive: Drive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert attempt(drive, ask(url), limits=CallLimits(5.0, 0.2, 5.0)) == Failure(SendError)


# Too slow


def dripping(begin: bytes, drop: bytes) -> Callable[[RawServer], Handler]:
    def for_server(server: RawServer) -> Handler:
        def handle(_: Received, connection: socket.socket) -> None:
            connection.sendall(begin)
            while not server.ended.wait(0.03):
                connection.sendall(drop)

        return handle

    return for_server


DRIPS = {
    "the status line": dripping(b"HTTP/1.1 200 O", b"K"),
    "a header": dripping(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "interim replies": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
    "a body without length": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "chunks": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("what", DRIPS)
def test_a_drip_ends_at_the_total_deadline(drive: Drive, what: str) -> None:
    server = RawServer(lambda received, connection: handler(received, connection))
    handler = DRIPS[what](server)
    limits = CallLimits(total=0.3, connect=5.0, read=5.0)
    with server, pytest.raises(TransportError, match="the call took too long as a whole") as caught:
        drive(ask(server.url), limits=limits)
    assert type(caught.value) is TransportError


def test_a_silent_server_ends_the_call_after_the_read_timeout(drive: Drive) -> None:
    limits = CallLimits(total=20.0, connect=0.5, read=0.2)
    with RawServer(lambda *_: None) as server:
        assert attempt(drive, ask(server.url), limits=limits) == NO_REPLY
        assert len(server.requests) == 1
        assert not server.ended.is_set()


@pytest.mark.parametrize("tls", [False, True])
def test_a_silent_server_ends_the_call_at_the_total_deadline(
    drive: Drive, certificates: Certificates, tls: bool
) -> None:
    limits = CallLimits(total=0.3, connect=5.0, read=20.0)
    context = certificates.right if tls else None
    with RawServer(lambda *_: None, context) as server, pytest.raises(TransportError, match="as a whole"):
        drive(ask(server.url), limits=limits, ca=certificates.authority)


# The environment


def test_a_netrc_is_ignored(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password stolen\n")
    (tmp_path / ".netrc").chmod(0o600)
    ours = {"Authorization": "Bearer ours"}
    with RawServer(says(reply(200))) as server:
        drive(ask(server.url, headers=ours))
        drive(ask(server.url))
        assert [request.header("Authorization") for request in server.requests] == ["Bearer ours", None]


PROXY_FORMS = ["http://{host}", "http://{host}/", "{host}"]


@pytest.mark.parametrize("form", PROXY_FORMS)
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_asked(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, form: str, name: str
) -> None:
    with RawServer(says(reply(200, b"by proxy"))) as proxy, RawServer(says(reply(200))) as server:
        monkeypatch.setenv(name, form.format(host=proxy.host))
        assert attempt(drive, ask_body(f"{server.url}/a%2Fb")) == (200, b"by proxy")
        assert [request.target for request in proxy.requests] == [f"{server.url}/a%2Fb"]
        assert server.connections == 0


def test_a_proxy_gets_its_own_password_and_the_server_does_not(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(says(reply(200, b"by proxy"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@{proxy.host}")
        drive(ask("http://127.0.0.1:1/", headers={"Authorization": "Bearer ours"}))
        [received] = proxy.requests
    assert received.header("Proxy-Authorization") == "Basic dXNlcjpwYXNz"
    assert received.header("Authorization") == "Bearer ours"


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.com,127.0.0.1"])
def test_no_proxy_is_honoured(drive: Drive, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    with RawServer(says(reply(200))) as proxy, RawServer(says(reply(200, b"direct"))) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        assert attempt(drive, ask_body(server.url)) == (200, b"direct")
        assert proxy.connections == 0


def tunnel(received: Received, connection: socket.socket) -> None:
    """Be a proxy for one CONNECT."""
    assert received.method == "CONNECT"
    host, _, port = received.target.partition(":")
    with socket.create_connection((host, int(port))) as target:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(target, connection))
        back.start()
        pump(connection, target)
        back.join()
    connection.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_tls_goes_through_a_tunnel_and_is_verified_all_the_same(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    with (
        RawServer(tunnel) as proxy,
        RawServer(says(reply(200, b"ok")), certificates.right) as server,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        flow = ask_body(f"{server.url}/a%2Fb")
        assert attempt(drive, flow, ca=certificates.authority) == (200, b"ok")
        assert [request.target for request in proxy.requests] == [server.host]
        assert [request.target for request in server.requests] == ["/a%2Fb"]
        assert attempt(drive, ask_body(server.url)) == Failure(SendError)


def test_a_proxy_that_refuses_the_connection_is_not_told_on_with_its_password(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:proxy-pass@127.0.0.1:{free_port()}")
    with pytest.raises(SendError) as caught:
        drive(ask("http://127.0.0.1:1/?token=hidden"))
    shown = f"{caught.value} {caught.value!r}"
    assert "proxy-pass" not in shown
    assert "hidden" not in shown


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_proxy_that_makes_no_tunnel_is_named_with_its_status_and_has_not_sent_anything(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, status: int, name: str
) -> None:
    with RawServer(says(reply(status), close=True)) as proxy:
        monkeypatch.setenv(name, proxy.url.replace("//", "//me:proxy-pass@"))
        with pytest.raises(SendError) as caught:
            drive(ask("https://127.0.0.1:1/"))
    assert f"the proxy that {name} names refuses the connection with status {status}" in str(caught.value)
    assert "proxy-pass" not in str(caught.value)
    assert caught.value.status is None


def test_a_proxy_that_is_not_there_is_named(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{free_port()}")
    with pytest.raises(SendError, match="through the proxy that http_proxy names: ConnectionRefusedError"):
        drive(ask("http://127.0.0.1:1/"))


def test_a_socks_proxy_is_named_before_anything_is_sent(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(says(reply(200))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"socks5://{proxy.host}")
        with pytest.raises((SendError, SettingsError), match="HTTP_PROXY names a SOCKS proxy"):
            drive(ask("http://127.0.0.1:1/"))
        assert proxy.connections == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_asks_for_another_login_in_plain_http_is_named_and_not_quoted(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with RawServer(says(reply(407, b"not let in: bWU6cHJveHktcGFzcw== proxy-pass"))) as proxy:
        monkeypatch.setenv(name, proxy.url.replace("//", "//me:proxy-pass@"))
        with pytest.raises(TransportError) as caught:
            drive(ask_expecting("http://127.0.0.1:1/"))
    assert caught.value.reason == (
        f"no usable reply (the proxy that {name} names refuses the connection with status 407)"
    )


def test_a_407_of_a_server_itself_is_its_own(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    expected = Failure(RequestRejected, 407)
    with RawServer(says(reply(407))) as server:
        assert attempt(drive, ask_expecting(server.url)) == expected
    with RawServer(tunnel) as proxy, RawServer(says(reply(407)), certificates.right) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert attempt(drive, ask_expecting(server.url), ca=certificates.authority) == expected


#: A proxy's login, in its variable, and what of it must not be shown.
PROXY_LOGINS = {
    "me:proxy-pass-1": ("proxy-pass-1", "bWU6cHJveHktcGFzcy0x"),
    "me:p%40ss%20w%C3%B6rd": ("p@ss w\xf6rd", "bWU6cEBzcyB39nJk"),
    "me:short": ("bWU6c2hvcnQ=",),
    "me": (),
}


@pytest.mark.parametrize("login", PROXY_LOGINS)
@pytest.mark.parametrize("status", [200, 403, 502])
def test_a_reply_knows_what_its_proxy_was_shown(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, status: int, login: str
) -> None:
    def echo(received: Received, connection: socket.socket) -> None:
        connection.sendall(reply(status, (received.header("Proxy-Authorization") or "").encode()))

    with RawServer(echo) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//{login}@"))
        answer = drive(ask("http://127.0.0.1:1/"))
    assert set(PROXY_LOGINS[login]) <= set(answer.secrets)
    if PROXY_LOGINS[login]:
        # It is what was really sent.
        assert answer.body.decode() in {f"Basic {secret}" for secret in answer.secrets}
    assert "proxy-pass" not in repr(answer)


def test_a_question_of_many_calls_ends_in_twice_the_time_of_one(drive: Drive) -> None:
    def handle(received: Received, connection: socket.socket) -> None:
        server.ended.wait(0.3)
        connection.sendall(reply(302))

    def flow(url: str) -> Flow[None]:
        for _ in range(9):
            yield get(url)

    with RawServer(handle) as server:
        limits = CallLimits(total=0.5, connect=0.5, read=0.5)
        with pytest.raises(TransportError, match="took too long as a whole"):
            drive(flow(server.url), limits=limits)
    assert 2 <= len(server.requests) <= 4
