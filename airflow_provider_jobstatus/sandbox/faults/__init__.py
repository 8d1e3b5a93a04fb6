"""The named instructions of a fault script: what a vendor, or whatever stands before it, can do wrong."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aiohttp import web

from airflow_provider_jobstatus.sandbox.certificates import BAD_CERTIFICATES
from airflow_provider_jobstatus.sandbox.dialects import MISSING
from airflow_provider_jobstatus.sandbox.faults.builders import (
    JSON_TYPE,
    Maker,
    beside,
    body_fault,
    certificate_fault,
    come_again,
    cut,
    date_text,
    echo,
    http_fault,
    redirect_fault,
    status_fault,
    wire_fault,
)
from airflow_provider_jobstatus.sandbox.wire import framed

#: Where the other origins of the sandbox are, for a redirect to one of them.
URLS: web.AppKey[Mapping[Any, str]] = web.AppKey("urls", Mapping)

AWAY_SECONDS = 90


@dataclass(frozen=True)
class Fault:
    """One instruction.

    :param description: What it does, in one line.
    :param make: Makes the entry for a vendor.
    """

    description: str
    make: Maker


HTML = b"<html><body><h1>Sign in</h1><p>done complete completed</p></body></html>"
_FORGED = "no\r\nERROR all is lost\x1b[2J\u202e\0 " + "and on " * 20_000

_SPENT = b'{"response": {"error": {"id": 1013, "httpStatusCode": 429, "message": "No calls are left"}}}'


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (64 << 20))


#: Where a redirect leads that must not be followed, by the second half of the instruction's name.
TARGETS: dict[str, tuple[str, Callable[[web.Request], str | None]]] = {
    "elsewhere": ("another origin of this machine", lambda r: r.config_dict[URLS]["storage"] + "/trap"),
    "metadata": ("a cloud's metadata address", lambda r: "http://169.254.169.254/latest/meta-data/"),
    "zero": ("the address 0.0.0.0", lambda r: "http://0.0.0.0:1/"),
    "decimal": ("a metadata address as one number", lambda r: "http://2852039166/"),
    "file": ("a file", lambda r: "file:///etc/passwd"),
    "script": ("a javascript: address", lambda r: "javascript:alert(1)"),
    "user": ("an address with a user in it", lambda r: f"http://user:password@{r.host}/trap"),
    "backslash": ("an address that clients read in two ways", lambda r: f"http://{r.host}\\@127.0.0.1:1/"),
    "broken": ("what is no address", lambda r: "http://[::1/"),
    "loop": ("the very same address", lambda r: r.raw_path),
    "nowhere": ("nowhere: it has no Location", lambda r: None),
    "empty": ("an empty Location", lambda r: ""),
}

FAULTS: dict[str, Fault] = {
    # Statuses.
    "retry-after-seconds": Fault("429: come again in 90 s", http_fault(429, Retry_After="90")),
    "retry-after-date": Fault(
        "429: come again at a date", come_again(lambda now: date_text(now + AWAY_SECONDS))
    ),
    "retry-after-clock": Fault(
        "429 with a date, from a clock one hour behind",
        come_again(lambda now: date_text(now + AWAY_SECONDS), -3600),
    ),
    "retry-after-past": Fault(
        "429 with a date that has passed", come_again(lambda now: date_text(now - 3600))
    ),
    "retry-after-year-9999": Fault(
        "429: come again in the year 9999", come_again(lambda now: date_text(253402300799))
    ),
    "retry-after-huge": Fault("429: come again in 31,000 years", http_fault(429, Retry_After="1" + "0" * 12)),
    "retry-after-negative": Fault("429: come again in -5 s", http_fault(429, Retry_After="-5")),
    "retry-after-fraction": Fault("429: come again in 1.5 s", http_fault(429, Retry_After="1.5")),
    "retry-after-garbage": Fault("429: come again soon", http_fault(429, Retry_After="soon, 5")),
    "retry-after-202": Fault(
        "202 that the job runs, and come again in 90 s",
        body_fault(lambda text: text, 202, "running", Retry_After="90"),
    ),
    "retry-after-401": Fault("401: come again in 90 s", http_fault(401, Retry_After="90")),
    "retry-after-403": Fault("403: come again in 90 s", http_fault(403, Retry_After="90")),
    "changed-on-the-way": Fault("203 with a good reply", body_fault(lambda text: text, 203)),
    "part": Fault(
        "206 with a good reply, though no part was requested",
        body_fault(lambda text: text, 206, Content_Range="bytes 0-99/9999"),
    ),
    "proxy-400": Fault("400 with the HTML of a proxy", http_fault(400, HTML, "text/html")),
    "proxy-421": Fault("421 with the HTML of a proxy", http_fault(421, HTML, "text/html")),
    "maintenance": Fault(
        "503 with a page of HTML and Retry-After: 120", http_fault(503, HTML, "text/html", Retry_After="120")
    ),
    "bad-gateway": Fault("502 with the HTML of a proxy", http_fault(502, HTML, "text/html")),
    "login-page": Fault("200 with the HTML of a login page", http_fault(200, HTML, "text/html")),
    "empty": Fault("200 with an empty body", http_fault(200, b"", JSON_TYPE)),
    "no-content": Fault("204", http_fault(204)),
    "licence-spent": Fault(
        "QuestionPro's 429 with error 1013: the licence's calls are used up",
        http_fault(429, _SPENT, JSON_TYPE),
    ),
    "odd-status": Fault("status 999", wire_fault(lambda body: framed(body, status="999 Odd"))),
    "echo": Fault("500 that repeats the credential in body and header", echo),
    "forged-text": Fault(
        "503 with controls, forged log lines and 140 KB of text",
        http_fault(503, _FORGED.encode("utf-8"), "text/plain; charset=utf-8"),
    ),
    "cookies": Fault(
        "503 that sets cookies",
        http_fault(503, Set_Cookie="canary=cookie; Path=/", Set_Cookie2="canary=cookie"),
    ),
    # Bodies.
    "truncate": Fault("half of the JSON, as long as it says", body_fault(lambda text: cut(text.encode()))),
    "junk": Fault("JSON with junk before it", body_fault(lambda text: ")]}'\n" + text)),
    "bom": Fault("JSON after a byte order mark", body_fault(lambda text: text.encode("utf-8-sig"))),
    "utf-16": Fault("JSON in UTF-16", body_fault(lambda text: text.encode("utf-16"))),
    "wrong-charset": Fault(
        "bytes that are no UTF-8 in the status",
        body_fault(lambda t: t.encode().replace(b'": "', b'": "\xff\xe9')),
    ),
    "array": Fault("a list around the reply", body_fault(lambda text: f"[{text}]")),
    "string": Fault("a string of JSON", body_fault(json.dumps)),
    "null": Fault("null", body_fault(lambda text: "null")),
    "deep": Fault("JSON 100,000 levels deep", body_fault(beside(f'"x": {"[" * 10**5}{"]" * 10**5}'))),
    "nan": Fault("NaN in the JSON", body_fault(beside('"x": NaN'))),
    "infinity": Fault("-Infinity in the JSON", body_fault(beside('"x": -Infinity'))),
    "huge-number": Fault("a number of 5,000 digits", body_fault(beside(f'"x": {"9" * 5000}'))),
    "duplicate-key": Fault("the status twice", body_fault(beside('"status": "processing"'))),
    "oversize": Fault("9 MiB of nothing but white space", body_fault(lambda text: b" " * (9 << 20))),
    "gzip": Fault(
        "a good reply, compressed unasked",
        body_fault(lambda text: gzip.compress(text.encode()), Content_Encoding="gzip"),
    ),
    "deflate": Fault(
        "a good reply, deflated", body_fault(lambda t: zlib.compress(t.encode()), Content_Encoding="deflate")
    ),
    "gzip-plain": Fault(
        "plain JSON that says it is gzip", body_fault(lambda text: text, Content_Encoding="gzip")
    ),
    "gzip-cut": Fault(
        "gzip without its end", body_fault(lambda t: gzip.compress(t.encode())[:-12], Content_Encoding="gzip")
    ),
    "gzip-bomb": Fault(
        "64 MiB of white space in 64 KB of gzip", body_fault(lambda text: _bomb(), Content_Encoding="gzip")
    ),
    "gzip-twice": Fault(
        "gzip in gzip",
        body_fault(lambda t: gzip.compress(gzip.compress(t.encode())), Content_Encoding="gzip, gzip"),
    ),
    "brotli": Fault(
        "plain JSON that says it is brotli", body_fault(lambda text: text, Content_Encoding="br")
    ),
    # Meaning.
    "wrong-id": Fault("the status of another job", status_fault(lambda word: word, job_id="424242")),
    "no-status": Fault("a reply without a status", status_fault(lambda word: MISSING)),
    "null-status": Fault("a status that is null", status_fault(lambda word: None)),
    "number-status": Fault("a status that is a number", status_fault(lambda word: 1)),
    "list-status": Fault("a status that is a list", status_fault(lambda word: [word])),
    "object-status": Fault("a status that is an object", status_fault(lambda word: {"status": word})),
    "mystery": Fault("an unknown word", status_fault(lambda word: f"almost {word}")),
    "shouting": Fault(
        "the word for done in capitals, with spaces", status_fault(lambda word: f" {word.upper()}  ")
    ),
    "nul": Fault("the word for done with a NUL behind it", status_fault(lambda word: word + "\0")),
    "surrogate": Fault(
        "the word for done with half a character behind it", status_fault(lambda w: w + "\ud800")
    ),
    "long-word": Fault("a word of 100 KB", status_fault(lambda word: word + "!" * 100_000)),
    # Redirects.
    **{
        f"redirect-{name}": Fault(f"307 to {description}", redirect_fault(make))
        for name, (description, make) in TARGETS.items()
    },
    # Certificates, of a sandbox that serves over TLS: the connection is refused before any request.
    **{
        f"tls-{name}": Fault(f"a certificate that {description}", certificate_fault(name))
        for name, description in BAD_CERTIFICATES.items()
    },
}
