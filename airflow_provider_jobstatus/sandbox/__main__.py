"""``python -m airflow_provider_jobstatus.sandbox``: serve the stand-in until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shlex
import signal
import sys
from pathlib import Path

from airflow_provider_jobstatus.sandbox.certificates import Certificates
from airflow_provider_jobstatus.sandbox.control import Control
from airflow_provider_jobstatus.sandbox.faults.fault_script import list_faults
from airflow_provider_jobstatus.sandbox.runner import environment
from airflow_provider_jobstatus.sandbox.server import Server
from airflow_provider_jobstatus.sandbox.vendor import ORIGINS

DEFAULT_PORT = 8750


def main() -> int:
    """Read the command line, serve, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_jobstatus.sandbox", description="A stand-in for the vendors' APIs."
    )
    parser.add_argument(
        "--port",
        type=_port_number,
        default=DEFAULT_PORT,
        help="port of the API; logins and files take the next two; 0 takes free ports (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print a line for each request")
    parser.add_argument(
        "--tls",
        metavar="FILE",
        help="serve the API over TLS, and write the authority that clients are to trust to this file",
    )
    parser.add_argument(
        "--list-faults", action="store_true", help="print the instructions of fault scripts and end"
    )
    options = parser.parse_args()
    if options.list_faults:
        for name, description in list_faults().items():
            print(f"{name:24}{description}")
        return 0
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(message)s",
        stream=sys.stderr,
    )
    tls = Certificates(options.host) if options.tls else None
    if tls is not None:
        Path(options.tls).write_bytes(tls.authority)
    return asyncio.run(_serve(options.host, options.port, tls))


def _port_number(text: str) -> int:
    port = int(text)
    highest = 65535 - (len(ORIGINS) - 1)
    if not 0 <= port <= highest:
        raise argparse.ArgumentTypeError(f"must be from 0 to {highest}")
    return port


async def _serve(host: str, port: int, tls: Certificates | None) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = Server(Control(), host=host, port=port, tls=tls)
    try:
        await server.start()
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        return 1
    for name, connection in environment(server).items():
        print(f"export {name}={shlex.quote(connection)}")
    # A comment to a shell, so that the whole output can be read with `source`.
    print(f"# The sandbox serves at {server.urls['api']}; Ctrl-C ends it.", flush=True)
    await ended.wait()
    await server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
