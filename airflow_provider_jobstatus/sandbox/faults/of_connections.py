"""Connections that end too early or never, and what is no good HTTP."""

from __future__ import annotations

from airflow_provider_jobstatus.sandbox.faults import Fault
from airflow_provider_jobstatus.sandbox.faults.builders import cut, wire_fault
from airflow_provider_jobstatus.sandbox.wire import End, framed, head

CONNECTION_FAULTS: dict[str, Fault] = {
    "close": Fault("FIN before a byte", wire_fault(lambda body: b"")),
    "close-headers": Fault("FIN in the headers", wire_fault(lambda body: framed(body)[:40])),
    "close-body": Fault(
        "FIN in the body, whose length is known",
        wire_fault(lambda body: framed(body)[: len(cut(body)) - len(body)]),
    ),
    "close-chunk": Fault(
        "FIN in a chunk",
        wire_fault(lambda body: head("Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + cut(body)),
    ),
    "close-unframed": Fault(
        "half of a body without a length, then FIN", wire_fault(lambda b: head() + cut(b))
    ),
    "reset": Fault("RST before a byte", wire_fault(lambda body: b"", End.RESET)),
    "reset-headers": Fault("RST in the headers", wire_fault(lambda body: framed(body)[:40], End.RESET)),
    "reset-body": Fault(
        "RST in the body", wire_fault(lambda body: framed(body)[: len(cut(body)) - len(body)], End.RESET)
    ),
    "stall": Fault("nothing, for ever", wire_fault(lambda body: b"", End.STALL)),
    "stall-body": Fault(
        "half of the body, then nothing for ever",
        wire_fault(lambda body: framed(body)[: len(cut(body)) - len(body)], End.STALL),
    ),
    "drip": Fault(
        "the body byte by byte, for ever", wire_fault(lambda body: head("Content-Length: 1000000"), End.DRIP)
    ),
    "drip-headers": Fault("headers byte by byte, for ever", wire_fault(lambda body: head()[:-4], End.DRIP)),
    "garbage": Fault(
        "a status line that is none", wire_fault(lambda body: b"SSH-2.0-OpenSSH_9.6\r\n\r\n" + body)
    ),
    "http-0.9": Fault("a body without any header", wire_fault(lambda body: body)),
    "huge-header": Fault(
        "a header of 1 MiB", wire_fault(lambda body: framed(body, "X-Huge: " + "x" * (1 << 20)))
    ),
    "many-headers": Fault(
        "20,000 headers",
        wire_fault(lambda body: framed(body, *(f"X-{number}: x" for number in range(20_000)))),
    ),
    "two-lengths": Fault(
        "two lengths that differ",
        wire_fault(lambda body: head(f"Content-Length: {len(body)}", "Content-Length: 3") + body),
    ),
    "negative-length": Fault("a length of -5", wire_fault(lambda body: head("Content-Length: -5") + body)),
    "length-and-chunks": Fault(
        "a length and chunks at once",
        wire_fault(
            lambda body: (
                head(f"Content-Length: {len(body)}", "Transfer-Encoding: chunked")
                + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            )
        ),
    ),
    "continue-flood": Fault(
        "10,000 times 100 Continue, and no answer",
        wire_fault(lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
    ),
}
