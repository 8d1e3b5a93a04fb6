"""Makes an environment with Airflow and this package once, and runs a Python command in it.

Started by bootstrap.sh with whatever Python the machine has: standard library only, nothing from this
package. A stamp in the environment tells what it was made from; as long as that is the same nothing is
installed and no network is needed. The package is installed editable, so a change of its code is no reason
to install again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "tests" / "constraints" / "airflow-3.3.txt"
DOWNLOADS = ROOT / ".demo" / "downloads"
# Needed to work on the package, beside its extra dev: the build backend, to build without fetching anything.
_TOOLS = ("hatchling",)
_NETWORK_TROUBLE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|name resolution|ProxyError"
    r"|Network is unreachable|Connection refused|Connection reset|dns error|tcp connect error",
    re.IGNORECASE,
)


class SetupError(Exception):
    """The environment could not be made; the message is one sentence for a person."""


def ensure(venv: Path, extra: str) -> Path:
    """Make the environment if it is not there as it should be, and return its interpreter.

    :param extra: extra of the package to install with it, empty for none
    """
    python = venv / "bin" / "python"
    stamp = venv / "made-from"
    wanted = _fingerprint(venv, extra)
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_name(f"{venv.name}.lock").open("w") as lock:
        # Two at once, such as `make test` twice, would install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _works(python) and stamp.is_file() and stamp.read_text() == wanted:
            return python
        stamp.unlink(missing_ok=True)
        create(venv)
        requirements = ["--editable", f"{ROOT}[{extra}]" if extra else str(ROOT)]
        requirements += _TOOLS if extra == "dev" else ()
        airflow = f"Airflow {pinned(CONSTRAINTS, 'apache-airflow')}"
        install(venv, requirements, purpose=f"{airflow} and this package into {_readable(venv)} (once)")
        stamp.write_text(wanted)
    return python


def ensure_with(venv: Path, pins: Path) -> Path:
    """Make an environment with this package and more, once, and return its interpreter.

    :param pins: file with the requirements that it has besides this package
    :raises SetupError: it cannot be made
    """
    python, stamp = venv / "bin" / "python", venv / "made-from"
    wanted = "\n".join([pins.read_text(), CONSTRAINTS.read_text(), sys.version, str(ROOT)])
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.parent.mkdir(parents=True, exist_ok=True)
        create(venv)
        requirements = ["--editable", str(ROOT), "--requirement", str(pins)]
        install(venv, requirements, purpose=f"Airflow and the peer into {_readable(venv)} (once)")
        stamp.write_text(wanted)
    return python


def enter(module: str, venv: Path, pins: Path) -> None:
    """Go on as a module in such an environment, unless this process runs in it.

    :param module: runs there with the arguments of this process
    """
    if Path(sys.prefix) == venv:
        return
    try:
        python = ensure_with(venv, pins)
    except SetupError as error:
        sys.exit(f"{module}: {error}.")
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])  # noqa: S606 - no shell is wanted


def create(venv: Path) -> None:
    """Make an empty environment, in place of whatever is there."""
    try:
        import ensurepip
        import venv as venv_module
    except ImportError as error:
        raise SetupError(
            f"this Python ({sys.executable}) has no module {error.name}; "
            "on Debian or Ubuntu the package python3-venv brings it"
        ) from None
    del ensurepip
    try:
        venv_module.create(venv, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        raise SetupError(f"this Python ({sys.executable}) cannot make an environment: {error}") from None


def install(venv: Path, requirements: list[str], purpose: str) -> None:
    """Install into an environment, with the pinned versions: with uv, which is much faster, else with pip.

    :param requirements: as on pip's command line
    :param purpose: what is installed and where, for the person at the terminal
    """
    python = str(venv / "bin" / "python")
    log = venv.with_name(f"{venv.name}-install.log")
    log.write_text("")
    env = {
        "UV_CACHE_DIR": str(DOWNLOADS / "uv"),
        "PIP_CACHE_DIR": str(DOWNLOADS / "pip"),
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    # A Python path or a user site of the caller must not count as installed.
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX"):
        env.pop(name, None)
    pip = [python, "-m", "pip", "install", "--retries", "1", "--constraint", str(CONSTRAINTS)]
    uv = [python, "-m", "uv", "pip", "install", "--python", python, "--constraint", str(CONSTRAINTS)]
    uv += ["--build-constraint", str(CONSTRAINTS)]
    shown = _Waiting(f"Installing {purpose}", log)
    if shown.run([*pip, "--only-binary", ":all:", "uv"], env):
        if shown.run([*uv, *requirements], env):
            return
    elif _NETWORK_TROUBLE.search(log.read_text(errors="replace")):
        raise SetupError(f"cannot reach the package index: is there a network? (details in {_readable(log)})")
    # An index that only pip is configured for, or a machine that uv was not built for.
    if not shown.run([*pip, *requirements], env):
        text = log.read_text(errors="replace")
        if _NETWORK_TROUBLE.search(text):
            raise SetupError(
                f"cannot reach the package index: is there a network? (details in {_readable(log)})"
            )
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "no output")
        raise SetupError(f"the installation failed, details in {_readable(log)}; its last line: {last}")


def pinned(constraints: Path, distribution: str) -> str:
    """Return the version that a constraint file pins."""
    pins = constraints.read_text().splitlines()
    return next(pin for pin in pins if pin.startswith(f"{distribution}==")).partition("==")[2]


class _Waiting:
    """Runs commands into a log and tells how long it takes: in place on a terminal, as lines in a pipe."""

    def __init__(self, title: str, log: Path) -> None:
        self._log = log
        self._live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._started = time.monotonic()
        print(title, flush=True)

    def run(self, command: list[str], env: dict[str, str]) -> bool:
        """Run one command and return whether it succeeded."""
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            pause = 1.0 if self._live else 10.0
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(pause) == 0
                self._tell()
        finally:
            if self._live:
                print("\r\x1b[K", end="", flush=True)
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _tell(self) -> None:
        lines = self._log.read_text(errors="replace").splitlines()
        last = lines[-1].strip() if lines else ""
        text = f"{time.monotonic() - self._started:4.0f} s  {last}"
        if self._live:
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(text[:160], flush=True)


def _fingerprint(venv: Path, extra: str) -> str:
    content = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__)):
        content.update(path.read_bytes())
    # An environment cannot be moved, and belongs to the interpreter that made it.
    return "\n".join([content.hexdigest(), extra, str(venv), sys.version, sys.base_prefix, ""])


def _works(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def _readable(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main() -> None:
    """Make the environment and become the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="setup", help="what to call this in messages")
    parser.add_argument("--extra", default="", help="extra of the package")
    parser.add_argument("venv", help="folder of the environment")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="arguments for its Python; nothing to only set up"
    )
    arguments = parser.parse_args()
    # make hands these down; an installer must not go on alone. The command starts with the usual handlers.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        python = ensure(ROOT / arguments.venv, arguments.extra)
    except SetupError as error:
        sys.exit(f"{arguments.name}: {error}.")
    except OSError as error:
        sys.exit(f"{arguments.name}: cannot write {error.filename}: {error.strerror}.")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(f"{arguments.name}: stopped during the installation; the next run starts it again.")
    if arguments.command:
        os.chdir(ROOT)
        os.execv(python, [str(python), *arguments.command])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
