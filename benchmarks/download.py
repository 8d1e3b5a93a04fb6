"""
How fast a download is, next to ``curl -s URL | tee FILE | sha256sum``, and how much memory it takes.

Server, curl and the operator run on this machine, one after the other; everything lies on a memory disk, so
that no disk is measured. Each download of ours is a process of its own in which ``execute()`` is timed:
login, status, redirect to the storage, the file, its rows counted, its digest, and its name only at the end.

    python benchmarks/download.py [--size MIB] [--rounds N] [--folder /dev/shm] [--kinds csv,quoted,...]

Prints for each kind of body the ratio of the two times, round by round (bar: at most 1.1 in the median), and
by how much the highest resident memory of the worker rose above that after its imports (bar: 64 MiB). Ends
with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MAX_RATIO = 1.1
MAX_MEMORY_MIB = 64
MIB = 1024 * 1024

#: Kind of a body to its media type, head, one row and tail. The rows have the length of a report of calls.
KINDS = {
    "csv": (
        "text/csv",
        b"call_id,started_at,agent,queue,seconds,note\r\n",
        b"8c1f0b2e4d5a4b0c,2026-11-21T09:15:27Z,agent-0042@example.org,support-emea,314,Wants a refund\r\n",
        b"",
    ),
    "quoted": (
        "text/csv",
        b'"call_id","started_at","agent","queue","seconds","note"\r\n',
        b'"8c1f0b2e4d5a4b0c","2026-11-21T09:15:27Z","agent-0042@example.org","support-emea","314",'
        b'"Said ""no"", twice,\r\nand called again"\r\n',
        b"",
    ),
    "json": (
        "application/json",
        b'{"entries": [{}',
        b', {"call_id": "8c1f0b2e4d5a4b0c", "started_at": "2026-11-21T09:15:27Z", "agent":'
        b' "agent-0042@example.org", "queue": "support-emea", "seconds": 314, "note": "Asked for a refund"}',
        b"]}",
    ),
    "opaque": ("application/octet-stream", b"", b"", b""),
}


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of the body (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="downloads of each (default: 5)")
    parser.add_argument("--folder", default="/dev/shm", help="a memory disk with room for two bodies")  # noqa: S108
    parser.add_argument("--kinds", default=",".join(KINDS), help="which bodies (default: all)")
    parser.add_argument("--worker", nargs=2, metavar=("KIND", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(*arguments.worker, arguments.folder)
    kinds = arguments.kinds.split(",")
    needed = (2 * arguments.size + 64) * MIB
    if shutil.disk_usage(arguments.folder).free < needed:
        parser.error(f"{arguments.folder} has no room for {needed // MIB} MiB; give --folder or less --size")
    # A time limit from outside, too, leaves neither the server nor its gigabytes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    missed = False
    with tempfile.TemporaryDirectory(prefix="jobstatus-download-", dir=arguments.folder) as folder:
        for kind in kinds:
            body = Path(folder, f"body.{kind}")
            make_body(body, kind, arguments.size * MIB)
            listener = socket.create_server(("127.0.0.1", 0), backlog=16)
            server = os.fork()
            if server == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                serve(listener, body, kind)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            try:
                missed |= measure(kind, url, body, Path(folder, "copy"), arguments.rounds)
            finally:
                os.kill(server, 9)
                os.waitpid(server, 0)
                listener.close()
                body.unlink()
    return int(missed)


def make_body(path: Path, kind: str, size: int) -> None:
    """Write a body of this kind, of almost this size."""
    _, head, row, tail = KINDS[kind]
    rows = row * (MIB // len(row)) if row else os.urandom(MIB)
    with path.open("wb") as file:
        file.write(head)
        while file.tell() + len(rows) + len(tail) <= size:
            file.write(rows)
        file.write(tail)


def measure(kind: str, url: str, body: Path, copy: Path, rounds: int) -> bool:
    """Download by turns with curl and with the operator, print the figures, and return whether one is bad."""
    size = body.stat().st_size
    digest = subprocess.run(["sha256sum", body], check=True, capture_output=True, text=True).stdout.split()[0]
    ours, theirs, memory = [], [], []
    for _ in range(rounds):
        seconds = by_curl(url, copy, digest)
        result = by_operator(kind, url, copy, digest, size)
        theirs.append(seconds)
        ours.append(result["seconds"])
        memory.append(result["memory_bytes"] / MIB)
    ratios = [mine / his for mine, his in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ours) / statistics.median(theirs)
    bad = ratio > MAX_RATIO or max(memory) >= MAX_MEMORY_MIB
    print(
        f"{kind:7} {size / MIB:.0f} MiB: {ratio:.2f} x curl | tee | sha256sum"
        f" (rounds {min(ratios):.2f} to {max(ratios):.2f});"
        f" {size / MIB / statistics.median(ours):.0f} MiB/s against"
        f" {size / MIB / statistics.median(theirs):.0f} MiB/s;"
        f" memory +{max(memory):.1f} MiB;"
        f" rows {result['rows']}; {'MISSED' if bad else 'ok'}",
        flush=True,
    )
    return bad


def by_curl(url: str, copy: Path, digest: str) -> float:
    """Download with curl, and return the seconds that it took."""
    started = time.perf_counter()
    command = f"curl -s {url}/stored | tee {copy} | sha256sum"
    done = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    assert done.stdout.split()[0] == digest
    copy.unlink()
    return seconds


def by_operator(kind: str, url: str, copy: Path, digest: str, size: int) -> dict[str, float]:
    """Download with the operator in a process of its own, and return what it measured."""
    connection = {
        "conn_type": "talkdesk",
        "host": f"{url}/",
        "login": "client",
        "password": "no-real-secret",
        "extra": {"token_url": f"{url}/token"},
    }
    environment = {**os.environ, "AIRFLOW_CONN_TALKDESK_DEFAULT": json.dumps(connection)}
    environment["AIRFLOW_HOME"] = str(copy.parent / "airflow")
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, __file__, "--folder", str(copy), "--worker", kind, url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    assert (result["sha256"], copy.stat().st_size) == (digest, size)
    copy.unlink()
    return result


def work(kind: str, url: str, copy: str) -> int:
    """Be the worker: download once, and print figures as JSON."""
    from airflow_provider_jobstatus.files import download  # noqa: F401 - imported when first used
    from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator

    operator = TalkdeskDownloadReportOperator(task_id="fetch", job_id=f"calls/{kind}", destination=copy)
    before = highest_memory()
    started = time.perf_counter()
    manifest = operator.execute({})
    seconds = time.perf_counter() - started
    figures = {"seconds": seconds, "memory_bytes": highest_memory() - before}
    print(json.dumps({**figures, "sha256": manifest["sha256"], "rows": manifest["rows"]}))
    return 0


def highest_memory() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def serve(listener: socket.socket, body: Path, kind: str) -> None:
    """Be login, API and storage until killed."""
    size = body.stat().st_size
    answers = {
        "/token": reply(200, b'{"access_token": "t", "token_type": "Bearer", "expires_in": 600}'),
        f"/data/reports/calls/jobs/{kind}": reply(200, b'{"job": {"status": "done"}}'),
        f"/data/reports/calls/files/{kind}": reply(
            302, b"", f"http://127.0.0.1:{listener.getsockname()[1]}/stored"
        ),
    }
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {KINDS[kind][0]}\r\nContent-Length: {size}\r\n\r\n".encode()

    def talk(connection: socket.socket) -> None:
        with connection, body.open("rb") as file:
            while request := receive(connection):
                target = request.split(" ", 2)[1]
                if target != "/stored":
                    connection.sendall(answers[target])
                    continue
                connection.sendall(head)
                file.seek(0)
                connection.sendfile(file)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


def receive(connection: socket.socket) -> str:
    """Return a request's head, or nothing at the end; bodies, of logins only, are small and come with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return ""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length and len(rest) < int(length[1]):
        rest += connection.recv(65536)
    return head.decode("latin-1")


def reply(status: int, body: bytes, location: str = "") -> bytes:
    """Return a whole reply."""
    where = f"Location: {location}\r\n" if location else ""
    head = (
        f"HTTP/1.1 {status} .\r\n{where}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    sys.exit(main())
