"""What is a file of a format, and what came in its place."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.content import JUDGED_BYTES, Sent, misfit

TABLE = "RowNumber,Value,ErrorMessage\r\n1,,Value is required.\r\n"
REPORT = json.dumps({"entries": [{"call_id": "c-1", "error": "none"}], "total": 1})
MARK = "\ufeff"
OCTETS = "application/octet-stream"
PADDING = " \r\n" * 30_000
LONG_COMMENT = f"<!-- {'x' * 70_000} -->"
PAGE_TYPES = ("text/html", "application/xhtml+xml")
PLAIN = ("text/plain", OCTETS, "")
PAGES = [
    "<!DOCTYPE html><html><body>Sign in</body></html>",
    "\n\n<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<p>down",
    *("<html>\n<head><title>502</title></head>", "<HTML lang=en>", MARK + "<html>"),
    '<?xml version="1.0"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">',
    *("<!-- saved --><html><p>a,b</html>", "<html>" + "a,b\n" * 30_000),
]

Rule = tuple[Sequence[str | None], Sequence[str], Sequence[str | bytes]]


def judged(file_format: str | None, content_type: str, body: str | bytes) -> Sent | None:
    raw = body if isinstance(body, bytes) else body.encode()
    return misfit(file_format, content_type, raw[:JUDGED_BYTES], len(raw) <= JUDGED_BYTES)


#: By what it is: formats, media types, and bodies that pass for each of them.
PASSES: dict[str, Rule] = {
    "a table under any label": (
        ("csv", None),
        (
            *("text/csv", OCTETS, "binary/octet-stream", "text/plain", "application/vnd.ms-excel", ""),
            *("application/csv", "application/download", "text/comma-separated-values", "application/json"),
        ),
        (
            *(TABLE, MARK + TABLE, "\r\n \n" + TABLE, TABLE.replace(",", ";"), TABLE.replace(",", "\t")),
            *("RowNumber,Value,ErrorMessage", '"RowNumber", "ErrorMessage"', "{id},name\n{1},Ida\n"),
            *("{},name\n{},Ida\n", '{"a": 1},x\n{"a": 2},y\n', "[total],name\n[3],Ida\n"),
            *(
                "[1],name\n[2],Olaf\n",
                "<id>,name\n<1>,Ida\n",
                "<b>name</b>,<b>age</b>\n<b>Ida</b>,<b>5</b>\n",
            ),
            *("<unknown>,<unknown>\n", "<html_note>,a\n1,2\n", "<5,>5\n1,2\n", "a,b\n<html>,{}\n"),
            *('note,x\n"<!DOCTYPE html><html></html>",1\n', "error,message\n500,busy\n", TABLE * 4000),
            *("<b>n</b>,a\n" + "<b>x</b>,1\n" * 9000, '{"a": 1},x\n' * 9000),
        ),
    ),
    "a table that is labelled XML": (["csv"], ["application/xml"], [TABLE]),
    "a table in any encoding": (
        ["csv"],
        [OCTETS],
        ["id,Größe\n1,ü\n".encode(it) for it in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")],
    ),
    "a compressed file": (
        ["csv"],
        ["text/csv", OCTETS, "application/gzip", "application/zip", ""],
        [gzip.compress(TABLE.encode())],
    ),
    "JSON": (
        ["json", None],
        ["application/json", "text/json", OCTETS, "text/plain", ""],
        [
            *(REPORT, MARK + REPORT, "\n" + REPORT, "[]", '[{"errorMessage": "x"}]'),
            '{"entries": [], "error": null}',
        ],
    ),
    "labelled lines of JSON where the format is not known": (
        [None],
        ["application/x-ndjson"],
        [
            *('{"call_id": "c-1", "error": "none"}\n', '{"id": "c-1", "status": "answered"}\n'),
            '{"call_id": 1}\n' * 9000,
        ],
    ),
    "a line of JSON": ([None], ["application/json"], ['{"call_id": "c-1", "status": "answered"}\n']),
    "lines of JSON": ([None], [OCTETS], ['{"id": 1, "status": "x"}\n{"id": 2, "status": "y"}\n']),
    "rows about errors": (
        [None],
        ["application/json", OCTETS],
        [
            *('[{"title": "x", "call_id": 1}]', '[{"error": "x"}, {"error": "y", "call_id": 1}]'),
            '{"version": 2, "entries": [' + '{"call_id": 1},' * 9000 + "{}]}",
            '{"error": "none", "call_id": 1}\n' * 9000,
        ],
    ),
    "a column that is called job": (
        [None],
        [OCTETS],
        [
            *('[{"job": "agent", "call_id": 1}]', '[{"job": null, "call_id": 1}]'),
            '{"job": "agent", "call_id": 1}\n{"job": "lead", "call_id": 2}\n',
            '{"entries": [{"call_id": 1}], "job": {"id": "j"}}',
            '{"call_id": 1, "note": "job"}\n' * 9000,
        ],
    ),
    "an empty table": (["csv"], ["text/csv"], [""]),
    "empty JSON": (["json"], ["application/json"], ["\n"]),
    "a header alone, if its line has an end or is no reply": (
        ["csv"],
        ["text/csv"],
        ["queued\n", '"Wait time"\r\n', "Wait time\n", "agent", '"agent"'],
    ),
    "a header alone where the label says so": (
        ["csv"],
        ["text/csv", "application/vnd.ms-excel"],
        ["id\n", "Call Id\n", "Date of call,Id of call\n", "Date of call;Id of call\n"],
    ),
    "one name and the end of its line in a file of bytes": (
        ["csv", None],
        [OCTETS, "binary/octet-stream", "application/x-octet-stream"],
        ["id\n", "call_id\r\n", "CallId\n", '"reference"\r\n', MARK + "E_Mail2\n", "Größe\n", "a.b-c\n"],
    ),
    "a table that begins with a few words": (
        ["csv"],
        ["text/csv", "text/plain", OCTETS],
        ["What they said\nIt is good\n", "What,they said\nIt is so.,x\n"],
    ),
}


@pytest.mark.parametrize("rule", PASSES)
def test_what_may_be_the_file_passes(rule: str) -> None:
    for file_format, content_type, body in itertools.product(*PASSES[rule]):
        assert judged(file_format, content_type, body) is None, (file_format, content_type, body[:60])


WORDS = [
    *("id", "OK\n", "ok\r\n", '"busy"\n', "Pending\n", "pending...\n", "NULL\n", "0\n", "503\n"),
    *("Forbidden\n", "true\n", "Unauthorized\n", "Database busy\n", '"Database busy"\n', "\nerror\n"),
    *("Busy!\n", "a:b\n", "Expired\n", "SlowDown\n", "AccessDenied\n", "NoSuchKey\n", "not-found\n"),
    "PROCESSING\n",
]
STATES = [
    '{"__type": "AccessDeniedException", "Message": "no"}\n',
    '{"ok": false, "description": "gone since Monday"}\n',
    '{"state": "QUEUED", "queue_position": 4}\n',
    '{"jobStatus": "PENDING", "retry-after": 30}\n',
    '{"level": "error", "msg": "first"}\n{"level": "error", "msg": "second"}\n',
]
NO_ROWS = [
    {"success": False, "message": "no", "data": None},
    {"type": "about:blank", "title": "x", "status": 500, "detail": "d", "correlationId": "c"},
    {"Message": "x", "ExceptionMessage": "y", "ExceptionType": "z", "StackTrace": "at a"},
    *({"message": "x", "resource": "y"}, {"id": "j", "status": "created", "progress": 7}),
    *({"data": {"id": "j", "status": "processing"}}, {"result": {"id": "j"}, "took": 3}),
    *({"job": {"id": "j"}, "meta": 1}, {"error": "x", "stack": "y" * JUDGED_BYTES}),
    *([{"error": "down"}], [{"code": 5, "message": "down"}, {"Detail": "x"}]),
]

#: By what it is, as above; and what is said of it, if that is always the same.
REFUSED: dict[str, tuple[Rule, Sent | None]] = {
    "a state or an error, whether its line has an end or not": (
        (
            [None],
            ["application/json", "application/x-ndjson", OCTETS, "text/csv", ""],
            [text for it in STATES for text in (it, it.rstrip("\n"), it.replace("\n", "\r\n"))],
        ),
        None,
    ),
    "a job on a line that is not labelled as lines": (
        (
            [None],
            ["application/json", OCTETS],
            ['{"id": "0f9c", "status": "uploading", "report_type": "contacts"}\n'],
        ),
        None,
    ),
    "what is labelled a page and may be rows, which are not shown": (
        (["csv"], PAGE_TYPES, [TABLE, "name\nIda Berg\n", "<id>,name\n<1>,Ida Berg\n", "", "down"]),
        Sent("a page of HTML"),
    ),
    "a page in any encoding": (
        (["csv"], ["text/csv"], [PAGES[0].encode(it) for it in ("utf-16", "utf-16-le", "utf-32-be")]),
        Sent("a page of HTML", PAGES[0]),
    ),
    "a page, whatever stands before it": (
        (
            ["csv"],
            ["text/csv", OCTETS, ""],
            [
                *(PADDING + "<html>", LONG_COMMENT + "<html>", "<!-- a --><div>Down</div>"),
                LONG_COMMENT + "<div></div>",
            ],
        ),
        None,
    ),
    **{
        f"XML as {content_type}, {body[:20]}": ((["csv", None], [content_type], [body]), Sent("XML"))
        for content_type, body in (
            *(("application/xml", "<Error/>"), ("text/plain", "<Error/>")),
            ("text/csv", "<Error><Code>SlowDown</Code></Error>"),
            (OCTETS, '<?xml version="1.0"?>\n<Error a="1">\n</Error>\n'),
            ("application/problem+xml", "<problem>a,b"),
            ("text/plain", "<head><title>Busy</title></head>\n<body>a, b</body>"),
            ("text/csv", "<List>" + "<Key>a,b</Key>\n" * 9000 + "</List>"),
        )
    },
    "what describes an error or a job": (
        (
            ["json", None],
            ["application/json", OCTETS, "text/plain", ""],
            [json.dumps(it) + end for it in NO_ROWS for end in ("", "\n")],
        ),
        None,
    ),
    "an object without entries": (
        (
            [None],
            ["application/json", "text/json", "application/problem+json"],
            ['{"queue": "a", "next": 5}', '{\n "call_id": 5\n}\n'],
        ),
        Sent("JSON without rows"),
    ),
    "a few sentences": (
        (
            ["csv"],
            ["text/csv", "text/plain", OCTETS],
            ["The report is not there.\nPlease try again later.\n"],
        ),
        Sent("lines of text"),
    ),
    "a value in JSON": ((["csv"], ["application/json"], ['"busy"', "null", "17", "true"]), Sent("JSON")),
    "a line of text": (
        (["csv", None], PLAIN, ["Database busy", "Sorry, we are down\n", "null", "\nOK\n", "pending..."]),
        Sent("a line of text"),
    ),
    "a word, a value or a sentence even where its label says so": (
        (
            ["csv", None],
            ["text/csv"],
            [
                *('"queued"', "Bad gateway", "false", "3.5", "null\n", "12\n", "upstream error"),
                *("Sorry, we are down\n", "Error: your report expired.", "Internal server error\r\n\r\n"),
            ],
        ),
        Sent("a line of text"),
    ),
    "a word of a reply": ((["csv", None], [OCTETS], WORDS), None),
    **{
        f"a picture or a paper as {content_type}, {body[:4]!r}": (
            (["csv"], [content_type], [body]),
            Sent("another kind of file"),
        )
        for content_type, body in (
            *(("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff")),
            *(("text/csv", b"\x89PNG\r\n\x1a\n"), (OCTETS, b"%PDF-1.7\n%\xe2\xe3")),
            ("application/pdf", b"a,b\n1,2\n"),
        )
    },
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_is_no_file_is_refused(rule: str) -> None:
    cases, expected = REFUSED[rule]
    for file_format, content_type, body in itertools.product(*cases):
        sent = judged(file_format, content_type, body)
        assert sent is not None, (file_format, content_type, body[:60])
        assert expected is None or sent == expected, (file_format, content_type, body[:60])


@pytest.mark.parametrize("body", PAGES, ids=lambda body: body[:16])
def test_a_page_is_no_file_under_any_label(body: str) -> None:
    types = ("text/csv", "text/plain", OCTETS, "application/json", "", "text/html")
    for file_format, content_type in itertools.product(("csv", "json", None), types):
        sent = judged(file_format, content_type, body)
        assert sent is not None
        assert sent.what == "a page of HTML"
        assert body.strip(MARK + "\n")[:6] in sent.describe()
        assert len(sent.describe()) <= 230


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
def test_an_error_or_a_job_in_json_is_no_file(body: dict[str, Any], shown: dict[str, Any]) -> None:
    types = ("application/json", "text/csv", "text/plain", OCTETS, "")
    texts = (json.dumps(body), MARK + json.dumps(body, indent=2) + "\n")
    for file_format, content_type, text in itertools.product(("csv", "json", None), types, texts):
        sent = judged(file_format, content_type, text)
        assert sent is not None
        assert sent.what == "an error in JSON"
        assert json.loads(sent.shown) == shown


@pytest.mark.parametrize(
    "body",
    [
        *(REPORT, "[]", '[{"EmailAddress": "ida@example.org"}]', '{"a": 1}\n{"a": 2}\n'),
        *('{"entries": [{"a": 1', '[{"a": "' + "x" * JUDGED_BYTES + '"}]', '{"a": 1}\n' * 9000, "[" * 50_000),
    ],
    ids=lambda body: body[:12],
)
def test_json_is_no_csv_and_nothing_of_it_is_shown(body: str) -> None:
    for content_type in ("application/json", "text/csv", "text/plain", OCTETS):
        sent = judged("csv", content_type, body)
        assert sent is not None
        assert sent.what.startswith("JSON")
        assert sent.describe() == sent.what


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
def test_a_job_is_no_row_wherever_it_stands(body: str) -> None:
    types = ("application/json", "application/x-ndjson", OCTETS, "text/csv", "")
    for file_format, content_type in itertools.product(("json", None), types):
        sent = judged(file_format, content_type, body)
        assert sent is not None
        assert "Ida" not in sent.shown


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<!doctype html><p>Sign in" + "x" * 9000, "a page of HTML, compressed"),
        ('{"error": "expired"}', "an error in JSON, compressed"),
        ("<?xml version='1.0'?><Error/>", "XML, compressed"),
    ],
)
def test_what_is_no_table_is_none_when_it_is_compressed(body: str, what: str) -> None:
    for content_type in ("text/csv", "application/gzip", OCTETS):
        sent = judged("csv", content_type, gzip.compress(body.encode()))
        assert sent is not None
        assert sent.what == what


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
