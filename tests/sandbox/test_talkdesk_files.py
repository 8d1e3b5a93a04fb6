"""Report files of the Talkdesk stand-in, and the storage that keeps them."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox import client
from tests.sandbox.client import NOW

ask = partial(client.ask, "talkdesk")


def signed_url(sandbox: Sandbox, **spec: Any) -> str:
    sandbox.put_job("talkdesk", "calls/j", **NOW, **spec)
    return location_of(sandbox)


def location_of(sandbox: Sandbox) -> str:
    reply = ask(sandbox, "calls/files/j")
    assert reply.status_code == 303
    assert reply.json()["job"]["status"] == "done"
    return reply.headers["Location"]


def fetch(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def check_xml_error(reply: requests.Response, status: int, code: str) -> None:
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/xml; charset=utf-8")
    assert ElementTree.fromstring(reply.content).findtext("Code") == code  # noqa: S314 - our own server's


def test_a_file_request_leads_to_the_storage_by_a_signed_url(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=40)
    assert url.startswith(f"{sandbox.storage_url}/reports/calls/files/j?")
    assert "X-Amz-Signature=sandbox-signature-" in url
    reply = fetch(url)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/csv"
    assert reply.headers["Content-Length"] == str(len(reply.content))
    assert reply.headers["Content-Disposition"] == 'attachment; filename="j.csv"'
    rows = list(csv.reader(io.StringIO(reply.content.decode(), newline="")))
    assert len(rows) == 41
    assert rows[1] == ["000000001", "Müller, Ana", "2024-01-15 00:00:00", "100", ""]
    assert {len(row) for row in rows} == {5}
    assert sandbox.requests[-1]["origin"] == "storage"


def test_a_report_comes_as_json_or_as_lines_of_json(sandbox: Sandbox) -> None:
    as_json = fetch(signed_url(sandbox, format="json", rows=3))
    assert as_json.headers["Content-Type"] == "application/json"
    assert as_json.headers["Content-Disposition"] == 'attachment; filename="j.json"'
    body = as_json.json()
    assert body["total"] == 3
    assert body["entries"][2]["id"] == "000000003"
    in_lines = fetch(signed_url(sandbox, format="json_bulk", rows=3))
    assert [json.loads(line) for line in in_lines.content.splitlines()] == body["entries"]


def test_an_empty_period_is_a_good_report(sandbox: Sandbox) -> None:
    assert fetch(signed_url(sandbox, format="json", rows=0)).json() == {"entries": [], "total": 0}
    assert fetch(signed_url(sandbox, rows=0)).text == "id,agent,started_at,seconds,note\r\n"
    empty = fetch(signed_url(sandbox, format="json_bulk", rows=0))
    assert (empty.content, empty.headers["Content-Length"]) == (b"", "0")


def test_text_and_file_name_can_be_given(sandbox: Sandbox) -> None:
    reply = fetch(signed_url(sandbox, file_text="a\nü\n", disposition='attachment; filename="../x"'))
    assert reply.content == "a\nü\n".encode()
    assert reply.headers["Content-Disposition"] == 'attachment; filename="../x"'


def test_a_job_that_is_not_done_has_no_file(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j", script=["processing", "done"])
    assert ask(sandbox, "calls/files/j").status_code == 404
    ask(sandbox, "calls/jobs/j")
    assert ask(sandbox, "calls/files/j").status_code == 404
    ask(sandbox, "calls/jobs/j")
    assert ask(sandbox, "calls/files/j").status_code == 303


def test_a_file_may_come_without_a_redirect(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=5)
    stored = fetch(url)
    sandbox.change_settings("talkdesk", file_form="200")
    direct = ask(sandbox, "calls/files/j")
    assert (direct.status_code, direct.content) == (200, stored.content)
    assert direct.headers["ETag"] == stored.headers["ETag"]
    sandbox.change_settings("talkdesk", file_form="302")
    assert ask(sandbox, "calls/files/j").status_code == 302


def test_a_signed_url_expires_by_the_clock_and_a_new_one_works(sandbox: Sandbox) -> None:
    url = signed_url(sandbox)
    sandbox.advance_clock(50)
    assert fetch(url).status_code == 200
    sandbox.advance_clock(11)
    check_xml_error(fetch(url), 403, "AccessDenied")
    assert fetch(location_of(sandbox)).status_code == 200
    sandbox.change_settings("talkdesk", url_lifetime_seconds=0)
    check_xml_error(fetch(location_of(sandbox)), 403, "AccessDenied")


@pytest.mark.parametrize(
    "header", ["Authorization", "Cookie", "api-key", "apiKey", "X-Aftercare-Key", "x-api-key"]
)
@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_the_storage_rejects_every_credential(sandbox: Sandbox, header: str, path: str) -> None:
    url = sandbox.storage_url + path if path else signed_url(sandbox)
    check_xml_error(fetch(url, **{header: "x"}), 400, "InvalidArgument")


def test_a_url_that_is_not_signed_or_was_changed_opens_nothing(sandbox: Sandbox) -> None:
    url = signed_url(sandbox)
    check_xml_error(fetch(url.partition("?")[0]), 403, "AccessDenied")
    check_xml_error(fetch(sandbox.storage_url), 403, "AccessDenied")
    check_xml_error(fetch(url + "%FF%FE"), 403, "SignatureDoesNotMatch")
    check_xml_error(fetch(url[:-1] + "z"), 403, "SignatureDoesNotMatch")
    check_xml_error(fetch(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")), 403, "SignatureDoesNotMatch")
    check_xml_error(fetch(url.replace("/files/j", "/files/k")), 403, "SignatureDoesNotMatch")
    check_xml_error(requests.put(url, data=b"x", timeout=10), 403, "SignatureDoesNotMatch")
    assert requests.head(url, timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-99", slice(10, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=100-999999", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-999999", slice(0, None)),
        ("bytes=27-29", slice(27, 30)),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "json", "json_bulk"])
def test_a_part_is_the_same_bytes_as_in_the_whole(
    shared: Sandbox, wanted: str, part: slice, kind: str
) -> None:
    url = signed_url(shared, rows=20, format=kind)
    whole = fetch(url)
    reply = fetch(url, Range=wanted)
    assert (reply.status_code, reply.content) == (206, whole.content[part])
    assert reply.headers["Content-Length"] == str(len(reply.content))
    begin, end, _ = part.indices(len(whole.content))
    assert reply.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(whole.content)}"
    assert reply.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "rows=1-2", "bytes=-", "bytes"])
def test_a_range_that_is_not_understood_gets_the_whole(shared: Sandbox, wanted: str) -> None:
    assert fetch(signed_url(shared), Range=wanted).status_code == 200


def test_a_part_beyond_the_end_is_a_416(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, file_text="abc")
    reply = fetch(url, Range="bytes=3-")
    assert (reply.status_code, reply.headers["Content-Range"]) == (416, "bytes */3")


def test_another_version_of_a_file_is_sent_whole(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=4)
    etag = fetch(url).headers["ETag"]
    assert etag.startswith('"')
    assert fetch(url, **{"Range": "bytes=5-", "If-Range": etag}).status_code == 206
    later = location_of(sandbox)
    assert fetch(later, **{"Range": "bytes=5-", "If-Range": etag}).status_code == 206
    replaced = signed_url(sandbox, rows=4)
    reply = fetch(replaced, **{"Range": "bytes=5-", "If-Range": etag})
    assert (reply.status_code, reply.headers["ETag"] == etag) == (200, False)
    date = "Mon, 15 Jan 2024 00:00:00 GMT"
    assert fetch(replaced, **{"Range": "bytes=5-", "If-Range": date}).status_code == 200


def test_a_large_file_has_the_length_it_promises_and_a_reader_may_leave(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=50_000, note_bytes=200)
    with requests.get(url, stream=True, timeout=10) as reply:
        promised = int(reply.headers["Content-Length"])
        assert sum(len(piece) for piece in reply.iter_content(1 << 20)) == promised > 12_000_000
    with requests.get(url, stream=True, timeout=10) as reply:
        next(reply.iter_content(10))
    tail = fetch(url, Range="bytes=-260")
    assert tail.content.endswith(b"\r\n")
    assert b"000050000," in tail.content


def test_a_deleted_file_is_gone_and_cannot_be_deleted_twice(sandbox: Sandbox) -> None:
    url = signed_url(sandbox)
    reply = ask(sandbox, "calls/files/j", method="DELETE")
    assert (reply.status_code, reply.content) == (204, b"")
    status = ask(sandbox, "calls/jobs/j")
    assert (status.status_code, status.json()["job"]["status"]) == (200, "deleted")
    assert ask(sandbox, "calls/files/j").status_code == 404
    assert ask(sandbox, "calls/files/j", method="DELETE").status_code == 403
    check_xml_error(fetch(url), 404, "NoSuchKey")


def test_a_file_that_is_not_there_yet_cannot_be_deleted(sandbox: Sandbox) -> None:
    assert ask(sandbox, "calls/files/calls-demo", method="DELETE").status_code == 404


def test_the_storage_can_be_scripted_by_its_path(sandbox: Sandbox) -> None:
    url = signed_url(sandbox)
    sandbox.put_answers(urlsplit(url).path, [{"disconnect": True, "body": "0123456789"}])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fetch(url)
    assert fetch(url).status_code == 200


def test_ids_with_letters_that_need_quoting_reach_the_storage(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "my calls/a b/ü", **NOW)
    reply = ask(sandbox, "my%20calls/files/a%20b%2F%C3%BC")
    assert fetch(reply.headers["Location"]).status_code == 200
    assert ask(sandbox, "my%20calls/jobs/a%20b%2F%C3%BC").headers["Location"] == (
        "/data/reports/my%20calls/files/a%20b%2F%C3%BC"
    )


def test_a_file_breaks_where_it_is_told_to_and_its_rest_is_to_be_had(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=100, breaks=[10, 500])
    whole = fetch(location_of_another(sandbox)).content
    for begin, end in ((0, 10), (10, 500)):
        got: list[bytes] = []
        reply = requests.get(url, headers={"Range": f"bytes={begin}-"}, stream=True, timeout=10)
        with pytest.raises(requests.RequestException):
            got.extend(reply.iter_content(1))
        assert b"".join(got) == whole[begin:end]
    assert fetch(url, Range="bytes=500-").content == whole[500:]
    with pytest.raises(ValueError, match="breaks"):
        sandbox.put_job("talkdesk", "calls/j", breaks=[5, 1])


def location_of_another(sandbox: Sandbox) -> str:
    """Return the address of a file of the same content."""
    sandbox.put_job("talkdesk", "calls/k", **NOW, rows=100)
    return ask(sandbox, "calls/files/k").headers["Location"]


def test_a_file_is_compressed_on_its_way_for_who_takes_that(sandbox: Sandbox) -> None:
    url = signed_url(sandbox, rows=100, zipped=True)
    plain, packed = fetch(url, **{"Accept-Encoding": "identity"}), fetch(url, **{"Accept-Encoding": "gzip"})
    assert plain.content == packed.content
    assert (packed.headers["Content-Encoding"], packed.headers["ETag"]) == (
        "gzip",
        f"W/{plain.headers['ETag']}",
    )
    assert fetch(url, Range="bytes=0-9", **{"Accept-Encoding": "gzip"}).content == plain.content[:10]
