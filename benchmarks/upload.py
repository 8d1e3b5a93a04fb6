"""
How fast an upload is, next to ``curl -F file=@FILE URL``, and how much memory it takes.

Server, curl and the operator run on this machine, one after the other, and the file lies on a memory disk.
Each upload of ours is a process of its own. What is compared is the request; that every row is checked
before is timed apart, as curl checks none.

    python benchmarks/upload.py [--size MIB] [--rounds N] [--folder /dev/shm]

Bars: at most 1.05 times the time of curl, in the median of pairs, and less than 64 MiB above the memory after
the imports, check included. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAX_RATIO = 1.05
MAX_MEMORY_MIB = 64
MIB = 1024 * 1024
HEADER = (
    b"RevenueClosedDate,CurrencyCode,Value,EmailAddress,LeadDate,Label,Reference,AdditionalDataProperties\r\n"
)
ROW = (
    b"2024-01-15T10:00:00,GBP,125.50,jo%d@example.com,2024-01-02,New customer,INV-%d,"
    b'"Name=Region,Value=North;Name=Branch,Value=Leeds"\r\n'
)


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file (default: 1024)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of uploads (default: 9)")
    parser.add_argument("--folder", default="/dev/shm", help="a memory disk with room for it")  # noqa: S108
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker)
    # A time limit from outside, too, leaves neither the server nor its gigabyte.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="jobstatus-upload-", dir=arguments.folder) as folder:
        file = Path(folder, "revenue.csv")
        make_file(file, arguments.size * MIB)
        listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        server = os.fork()
        if server == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            serve(listener)
        try:
            return int(measure(f"http://127.0.0.1:{listener.getsockname()[1]}", file, arguments.rounds))
        finally:
            os.kill(server, 9)
            os.waitpid(server, 0)


def make_file(path: Path, size: int) -> None:
    """Write a file of good rows of this size at least, as old as one that nobody writes any more."""
    number = 0
    with path.open("wb") as file:
        file.write(HEADER)
        while file.tell() < size:
            file.write(b"".join(ROW % (at, at) for at in range(number, number + 10_000)))
            number += 10_000
    time.sleep(3)


def measure(url: str, file: Path, rounds: int) -> bool:
    """Upload by turns with the operator and with curl, print the figures, and return whether one is bad."""
    connection = {"conn_type": "ruler", "host": url, "password": "no-real-secret", "extra": {"site_id": "s"}}
    environment = {**os.environ, "AIRFLOW_CONN_RULER_DEFAULT": json.dumps(connection)}
    environment["AIRFLOW_HOME"] = str(file.parent / "airflow")
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    results, ratios = [], []
    for _ in range(rounds):
        command = [sys.executable, __file__, "--worker", str(file)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        started = time.perf_counter()
        form = [
            "curl",
            "-s",
            "-o",
            os.devnull,
            "-F",
            f"file=@{file};type=text/csv",
            f"{url}/v1/s/revenue/batch",
        ]
        subprocess.run(form, check=True)
        ratios.append(results[-1]["seconds"] / (time.perf_counter() - started))
    ratio, memory = statistics.median(ratios), max(result["memory_bytes"] for result in results) / MIB
    check = statistics.median(result["check_seconds"] for result in results)
    bad = ratio > MAX_RATIO or memory >= MAX_MEMORY_MIB
    print(
        f"{file.stat().st_size / MIB:.0f} MiB: {ratio:.2f} x curl -F (pairs {min(ratios):.2f} to "
        f"{max(ratios):.2f}); checked in {check:.1f} s; memory +{memory:.1f} MiB; "
        f"{'MISSED' if bad else 'ok'}"
    )
    return bad


def work(file: str) -> int:
    """Be the worker: check and upload once, and print figures as JSON."""
    from airflow_provider_jobstatus.hooks.ruler import RulerHook
    from airflow_provider_jobstatus.operators.ruler import RulerUploadRevenueOperator
    from airflow_provider_jobstatus.transports import blocking  # noqa: F401 - imported when first used

    operator, hook = RulerUploadRevenueOperator(task_id="upload", source=file), RulerHook()
    before = highest_memory()
    began_at = time.perf_counter()
    order = operator.orders(hook, {})
    assert order.prepare is not None
    order.prepare()
    checked_at = time.perf_counter()
    assert hook.call(order.operation) == "s/job-1"
    figures = {"seconds": time.perf_counter() - checked_at, "check_seconds": checked_at - began_at}
    print(json.dumps({**figures, "memory_bytes": highest_memory() - before}))
    return 0


def highest_memory() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def serve(listener: socket.socket) -> None:
    """Take uploads, one after the other, until killed; curl is told to go on."""
    buffer = bytearray(MIB)
    while True:
        connection, _ = listener.accept()
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            if b"100-continue" in head.lower():
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            left = int(length[1]) - len(body) if length else 0
            while left > 0:
                left -= connection.recv_into(buffer)
            connection.sendall(b'HTTP/1.1 202 .\r\nContent-Length: 17\r\n\r\n{"jobId":"job-1"}')


if __name__ == "__main__":
    sys.exit(main())
