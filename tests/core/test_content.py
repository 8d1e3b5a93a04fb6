"""What is a file of a format, and what came in its place."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.content import JUDGED_BYTES, Sent, misfit

TABLE = "RowNumber,Value,ErrorMessage\r\n1,,Value is required.\r\n"
REPORT = json.dumps({"entries": [{"call_id": "c-1", "error": "none"}], "total": 1})
MARK = "\ufeff"
OCTETS = "application/octet-stream"


def judged(file_format: str | None, content_type: str, body: str | bytes) -> Sent | None:
    raw = body if isinstance(body, bytes) else body.encode()
    return misfit(file_format, content_type, raw[:JUDGED_BYTES], len(raw) <= JUDGED_BYTES)


# What passes


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize(
    "content_type",
    [
        *("text/csv", OCTETS, "binary/octet-stream", "text/plain", "application/vnd.ms-excel", ""),
        *("application/csv", "application/download", "text/comma-separated-values", "application/json"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        *(TABLE, MARK + TABLE, "\r\n \n" + TABLE, TABLE.replace(",", ";"), TABLE.replace(",", "\t")),
        *("RowNumber,Value,ErrorMessage", '"RowNumber", "ErrorMessage"', "{id},name\n{1},Ida\n"),
        *("{},name\n{},Ida\n", '{"a": 1},x\n{"a": 2},y\n', "[total],name\n[3],Ida\n"),
        *("[1],name\n[2],Olaf\n", "<id>,name\n<1>,Ida\n", "<b>name</b>,<b>age</b>\n<b>Ida</b>,<b>5</b>\n"),
        *("<unknown>,<unknown>\n", "<html_note>,a\n1,2\n", "<5,>5\n1,2\n", "a,b\n<html>,{}\n"),
        *('note,x\n"<!DOCTYPE html><html></html>",1\n', "error,message\n500,busy\n", TABLE * 4000),
        *("<b>n</b>,a\n" + "<b>x</b>,1\n" * 9000, '{"a": 1},x\n' * 9000),
    ],
    ids=lambda body: body[:12],
)
def test_a_table_passes_under_any_label(file_format: str | None, content_type: str, body: str) -> None:
    assert judged(file_format, content_type, body) is None


def test_a_table_that_is_labelled_xml_passes() -> None:
    assert judged("csv", "application/xml", TABLE) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_table_passes_in_any_encoding(encoding: str) -> None:
    assert judged("csv", OCTETS, "id,Größe\n1,ü\n".encode(encoding)) is None


@pytest.mark.parametrize("content_type", ["text/csv", OCTETS, "application/gzip", "application/zip", ""])
def test_a_compressed_file_passes(content_type: str) -> None:
    assert judged("csv", content_type, gzip.compress(TABLE.encode())) is None


@pytest.mark.parametrize("content_type", ["application/json", "text/json", OCTETS, "text/plain", ""])
@pytest.mark.parametrize(
    "body",
    [REPORT, MARK + REPORT, "\n" + REPORT, "[]", '[{"errorMessage": "x"}]', '{"entries": [], "error": null}'],
)
def test_json_passes_where_json_may_come(content_type: str, body: str) -> None:
    assert judged("json", content_type, body) is None
    assert judged(None, content_type, body) is None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-ndjson", '{"call_id": "c-1", "error": "none"}\n'),
        ("application/x-ndjson", '{"id": "c-1", "status": "answered"}\n'),
        ("application/x-ndjson", '{"call_id": 1}\n' * 9000),
        ("application/json", '{"call_id": "c-1", "status": "answered"}\n'),
        (OCTETS, '{"id": 1, "status": "x"}\n{"id": 2, "status": "y"}\n'),
    ],
)
def test_lines_of_json_pass_where_the_format_is_not_known(content_type: str, body: str) -> None:
    assert judged(None, content_type, body) is None


def test_an_empty_file_is_not_judged() -> None:
    assert judged("csv", "text/csv", "") is None
    assert judged("json", "application/json", "\n") is None


@pytest.mark.parametrize(
    "body",
    [
        '[{"title": "x", "call_id": 1}]',
        '[{"error": "x"}, {"error": "y", "call_id": 1}]',
        '{"version": 2, "entries": [' + '{"call_id": 1},' * 9000 + "{}]}",
        '{"error": "none", "call_id": 1}\n' * 9000,
    ],
    ids=lambda body: body[:24],
)
def test_rows_that_tell_of_errors_pass(body: str) -> None:
    for content_type in ("application/json", OCTETS):
        assert judged(None, content_type, body) is None


# What does not


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", OCTETS, "text/csv", ""])
@pytest.mark.parametrize(
    "body",
    [
        '{"__type": "AccessDeniedException", "Message": "no"}\n',
        '{"ok": false, "description": "gone since Monday"}\n',
        '{"state": "QUEUED", "queue_position": 4}\n',
        '{"jobStatus": "PENDING", "retry-after": 30}\n',
        '{"level": "error", "msg": "first"}\n{"level": "error", "msg": "second"}\n',
    ],
)
def test_a_state_or_an_error_is_no_row_whether_its_line_has_an_end_or_not(
    content_type: str, body: str
) -> None:
    for text in (body, body.rstrip("\n"), body.replace("\n", "\r\n")):
        assert judged(None, content_type, text) is not None


def test_a_job_on_a_line_of_its_own_is_no_report_unless_it_is_labelled_as_lines() -> None:
    body = '{"id": "0f9c", "status": "uploading", "report_type": "contacts"}\n'
    assert judged(None, "application/json", body) is not None
    assert judged(None, OCTETS, body) is not None


PAGES = [
    "<!DOCTYPE html><html><body>Sign in</body></html>",
    "\n\n<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<p>down",
    "<html>\n<head><title>502</title></head>",
    "<HTML lang=en>",
    MARK + "<html>",
    '<?xml version="1.0"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">',
    "<!-- saved --><html><p>a,b</html>",
    "<html>" + "a,b\n" * 30_000,
]


@pytest.mark.parametrize("file_format", ["csv", "json", None])
@pytest.mark.parametrize(
    "content_type", ["text/csv", "text/plain", OCTETS, "application/json", "", "text/html"]
)
@pytest.mark.parametrize("body", PAGES, ids=lambda body: body[:16])
def test_a_page_is_no_file_under_any_label(file_format: str | None, content_type: str, body: str) -> None:
    sent = judged(file_format, content_type, body)
    assert sent is not None
    assert sent.what == "a page of HTML"
    assert body.strip(MARK + "\n")[:6] in sent.describe()
    assert len(sent.describe()) <= 230


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml"])
@pytest.mark.parametrize("body", [TABLE, "name\nIda Berg\n", "<id>,name\n<1>,Ida Berg\n", "", "down"])
def test_what_is_labelled_as_a_page_and_may_be_rows_is_no_file_and_not_shown(
    content_type: str, body: str
) -> None:
    assert judged("csv", content_type, body) == Sent("a page of HTML")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_a_page_is_known_in_any_encoding(encoding: str) -> None:
    assert judged("csv", "text/csv", PAGES[0].encode(encoding)) == Sent("a page of HTML", PAGES[0])


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml"])
def test_what_is_labelled_a_page_is_no_file(content_type: str) -> None:
    assert judged("csv", content_type, TABLE) is not None


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/xml", "<Error/>"),
        ("text/plain", "<Error/>"),
        ("text/csv", "<Error><Code>SlowDown</Code></Error>"),
        (OCTETS, '<?xml version="1.0"?>\n<Error a="1">\n</Error>\n'),
        ("application/problem+xml", "<problem>a,b"),
        ("text/plain", "<head><title>Busy</title></head>\n<body>a, b</body>"),
        ("text/csv", "<List>" + "<Key>a,b</Key>\n" * 9000 + "</List>"),
    ],
)
def test_xml_is_no_file(file_format: str | None, content_type: str, body: str) -> None:
    assert judged(file_format, content_type, body) == Sent("XML")


@pytest.mark.parametrize("file_format", ["csv", "json", None])
@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "text/plain", OCTETS, ""])
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": "session expired"}, {"error": "session expired"}),
        ({"Message": "try again"}, {"Message": "try again"}),
        ({"code": 5, "description": "x", "fields": [1]}, {"code": 5, "description": "x"}),
        ({"error": {"code": 5, "row": ["Ida"]}, "who": "Ida"}, {"error": {"code": 5}}),
        ({"errors": [{"EmailAddress": "ida@example.org"}]}, {"errors": "1 items"}),
        ({"entries": [], "error": "expired"}, {"error": "expired"}),
        ({"id": "j", "status": "processing"}, {"status": "processing"}),
        ({"job": {"id": "j", "status": "done"}, "_links": {}}, {}),
        ({}, {}),
    ],
)
def test_an_error_or_a_job_in_json_is_no_file(
    file_format: str | None, content_type: str, body: dict[str, Any], shown: dict[str, Any]
) -> None:
    for text in (json.dumps(body), MARK + json.dumps(body, indent=2) + "\n"):
        sent = judged(file_format, content_type, text)
        assert sent is not None
        assert sent.what == "an error in JSON"
        assert json.loads(sent.shown) == shown


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "text/plain", OCTETS])
@pytest.mark.parametrize(
    "body",
    [
        *(REPORT, "[]", '[{"EmailAddress": "ida@example.org"}]', '{"a": 1}\n{"a": 2}\n'),
        *('{"entries": [{"a": 1', '[{"a": "' + "x" * JUDGED_BYTES + '"}]', '{"a": 1}\n' * 9000),
        "[" * 50_000,
    ],
    ids=lambda body: body[:12],
)
def test_json_is_no_csv_and_nothing_of_it_is_shown(content_type: str, body: str) -> None:
    sent = judged("csv", content_type, body)
    assert sent is not None
    assert sent.what.startswith("JSON")
    assert sent.describe() == sent.what


@pytest.mark.parametrize("file_format", ["json", None])
@pytest.mark.parametrize("content_type", ["application/json", OCTETS, "text/plain", ""])
@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "message": "no", "data": None},
        {"type": "about:blank", "title": "x", "status": 500, "detail": "d", "correlationId": "c"},
        {"Message": "x", "ExceptionMessage": "y", "ExceptionType": "z", "StackTrace": "at a"},
        {"message": "x", "resource": "y"},
        {"id": "j", "status": "created", "progress": 7},
        {"data": {"id": "j", "status": "processing"}},
        {"result": {"id": "j"}, "took": 3},
        {"job": {"id": "j"}, "meta": 1},
        {"error": "x", "stack": "y" * JUDGED_BYTES},
        [{"error": "down"}],
        [{"code": 5, "message": "down"}, {"Detail": "x"}],
    ],
    ids=lambda body: str(body)[:24],
)
def test_what_tells_of_an_error_or_a_job_has_no_rows(
    file_format: str | None, content_type: str, body: object
) -> None:
    assert judged(file_format, content_type, json.dumps(body)) is not None
    assert judged(file_format, content_type, json.dumps(body) + "\n") is not None


@pytest.mark.parametrize("file_format", ["json", None])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", OCTETS, "text/csv", ""])
@pytest.mark.parametrize(
    "body",
    [
        '[{"job": {"id": "j", "status": "done"}}]',
        '[{"job": {"id": "j", "status": "done"}, "name": "Ida", "call_id": 1}]',
        '[ {"call_id": 1}, {"job": {}}]',
        '{"job": {"id": "j", "status": "done"}, "name": "Ida"}\n',
        '{"job": {"id": "j", "status": "created"}}\n{"job": {"id": "j", "status": "done"}}\n',
        '[{"job": {"id": "j", "status": "done"}},' + '{"call_id": 1},' * 9000 + "{}]",
        MARK + '\n [ {"name": "Ida", "job": {"id": "j"}}]',
    ],
    ids=lambda body: body[:32],
)
def test_a_job_is_no_row_wherever_it_stands(file_format: str | None, content_type: str, body: str) -> None:
    sent = judged(file_format, content_type, body)
    assert sent is not None
    assert "Ida" not in sent.shown


@pytest.mark.parametrize(
    "body",
    [
        '[{"job": "agent", "call_id": 1}]',
        '[{"job": null, "call_id": 1}]',
        '{"job": "agent", "call_id": 1}\n{"job": "lead", "call_id": 2}\n',
        '{"entries": [{"call_id": 1}], "job": {"id": "j"}}',
        '{"call_id": 1, "note": "job"}\n' * 9000,
    ],
    ids=lambda body: body[:32],
)
def test_a_column_that_is_called_job_is_one(body: str) -> None:
    assert judged(None, OCTETS, body) is None


@pytest.mark.parametrize("content_type", ["application/json", "text/json", "application/problem+json"])
def test_an_object_without_entries_is_no_report(content_type: str) -> None:
    assert judged(None, content_type, '{"queue": "a", "next": 5}') == Sent("JSON without rows")
    assert judged(None, content_type, '{\n "call_id": 5\n}\n') == Sent("JSON without rows")


def test_a_few_sentences_are_no_table() -> None:
    for content_type in ("text/csv", "text/plain", OCTETS):
        text = "The report is not there.\nPlease try again later.\n"
        assert judged("csv", content_type, text) == Sent("lines of text")
        assert judged("csv", content_type, "What they said\nIt is good\n") is None
        assert judged("csv", content_type, "What,they said\nIt is so.,x\n") is None


@pytest.mark.parametrize("body", ['"busy"', "null", "17", "true"])
def test_a_value_in_json_is_no_csv(body: str) -> None:
    assert judged("csv", "application/json", body) == Sent("JSON")


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize("content_type", ["text/plain", OCTETS, ""])
@pytest.mark.parametrize("body", ["Database busy", "Sorry, we are down\n", "null", "\nOK\n", "pending..."])
def test_a_line_of_text_is_no_table(file_format: str | None, content_type: str, body: str) -> None:
    assert judged(file_format, content_type, body) == Sent("a line of text")


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize(
    "body", ['"queued"', "Bad gateway", "false", "3.5", "null\n", "12\n", "upstream error"]
)
def test_a_word_or_a_value_is_no_table_even_where_its_label_says_so(
    file_format: str | None, body: str
) -> None:
    assert judged(file_format, "text/csv", body) == Sent("a line of text")


@pytest.mark.parametrize("body", ["queued\n", '"Wait time"\r\n', "Wait time\n", "agent", '"agent"'])
def test_a_header_alone_is_a_table_where_its_line_has_an_end_or_it_answers_nothing(body: str) -> None:
    assert judged("csv", "text/csv", body) is None


PADDING = " \r\n" * 30_000
LONG_COMMENT = f"<!-- {'x' * 70_000} -->"


@pytest.mark.parametrize("content_type", ["text/csv", OCTETS, ""])
@pytest.mark.parametrize(
    "body",
    [PADDING + "<html>", LONG_COMMENT + "<html>", "<!-- a --><div>Down</div>", LONG_COMMENT + "<div></div>"],
    ids=["blanks", "comment", "short comment", "comment before a part"],
)
def test_a_page_is_one_whatever_stands_before_it(content_type: str, body: str) -> None:
    assert judged("csv", content_type, body) is not None


@pytest.mark.parametrize("content_type", ["text/csv", "application/gzip", OCTETS])
@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<!doctype html><p>Sign in" + "x" * 9000, "a page of HTML, compressed"),
        ('{"error": "expired"}', "JSON, compressed"),
        ("<?xml version='1.0'?><Error/>", "XML, compressed"),
    ],
)
def test_what_is_no_table_is_none_when_it_is_compressed(content_type: str, body: str, what: str) -> None:
    sent = judged("csv", content_type, gzip.compress(body.encode()))
    assert sent is not None
    assert sent.what == what


def test_a_header_alone_is_a_table_where_the_label_says_so() -> None:
    for content_type in ("text/csv", "application/vnd.ms-excel"):
        assert judged("csv", content_type, "id\n") is None
        assert judged("csv", content_type, "Call Id\n") is None
        assert judged("csv", content_type, "Date of call,Id of call\n") is None
        assert judged("csv", content_type, "Date of call;Id of call\n") is None


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize("content_type", [OCTETS, "binary/octet-stream", "application/x-octet-stream"])
@pytest.mark.parametrize(
    "body", ["id\n", "call_id\r\n", "CallId\n", '"reference"\r\n', MARK + "E_Mail2\n", "Größe\n", "a.b-c\n"]
)
def test_one_name_and_the_end_of_its_line_is_a_header_alone_in_a_file_of_bytes(
    file_format: str | None, content_type: str, body: str
) -> None:
    assert judged(file_format, content_type, body) is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            "id",
            "OK\n",
            "ok\r\n",
            '"busy"\n',
            "Pending\n",
            "pending...\n",
            "NULL\n",
            "0\n",
            "503\n",
            "Forbidden\n",
        ),
        *(
            "true\n",
            "Unauthorized\n",
            "Database busy\n",
            '"Database busy"\n',
            "\nerror\n",
            "Busy!\n",
            "a:b\n",
        ),
        *("Expired\n", "SlowDown\n", "AccessDenied\n", "NoSuchKey\n", "not-found\n", "PROCESSING\n"),
    ],
)
def test_a_word_that_answers_is_no_header(body: str) -> None:
    for file_format in ("csv", None):
        assert judged(file_format, OCTETS, body) is not None


@pytest.mark.parametrize("file_format", ["csv", None])
@pytest.mark.parametrize(
    "body", ["Sorry, we are down\n", "Error: your report expired.", "Internal server error\r\n\r\n"]
)
def test_a_sentence_is_no_table_whatever_its_label(file_format: str | None, body: str) -> None:
    assert judged(file_format, "text/csv", body) == Sent("a line of text")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        *(("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff")),
        *(("text/csv", b"\x89PNG\r\n\x1a\n"), (OCTETS, b"%PDF-1.7\n%\xe2\xe3")),
        ("application/pdf", b"a,b\n1,2\n"),
    ],
)
def test_a_picture_or_a_paper_is_no_table(content_type: str, body: bytes) -> None:
    assert judged("csv", content_type, body) == Sent("another kind of file")


def test_an_excerpt_has_neither_our_secrets_nor_addresses_of_people() -> None:
    text = "<html>key=S3CRET-canary-77 by ida@example.org at https://s.example/k?sig=canary " + "." * 5000
    shown = Sent("a page of HTML", text).describe(["S3CRET-canary-77"])
    assert shown.startswith("a page of HTML: <html>key=*** by *** at https://s.example/k?***")
    assert "canary" not in shown
    # A secret that the cut would have left half of.
    for at in range(150, 215):
        shown = Sent("x", "." * at + " S3CRET-canary-77").describe(["S3CRET-canary-77"])
        assert "S3C" not in shown
        assert len(shown) <= 203


@given(st.binary(max_size=60), st.sampled_from(["csv", "json", None]), st.booleans())
def test_anything_can_be_judged(body: bytes, file_format: str | None, whole: bool) -> None:
    for head in (body, b"<" + body, b"{" + body, b"[" + body, b"<!--" + body):
        misfit(file_format, "text/csv", head, whole)
