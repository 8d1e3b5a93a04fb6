"""Installs the built wheel beside each Airflow and Python that it is for, and runs the tests against it.

Each row of the table gets an empty environment of its own. The tests run from a copy that has everything but
the package, so that the source cannot be taken for the wheel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from dev import bootstrap, extras, interpreters, wheel

FOLDER = bootstrap.ROOT / "build" / "matrix"
PYTHONS = ("3.11", "3.12", "3.13")
CONSTRAINTS = ("airflow-3.1", "airflow-3.2", "airflow-3.3")
CHECKOUT = FOLDER / "checkout"
# What the copy goes without: the package, above all, and what was made here.
_NOT_COPIED = ("airflow_provider_jobstatus", "build", "dist", "__pycache__", ".*")
# The parts that touch Airflow most; what an answer means does not depend on Airflow's version.
_TOUCHING_AIRFLOW = (
    "tests/sensors/test_batch_job.py",
    "tests/sensors/test_vendors.py",
    "tests/triggers",
    "tests/test_provider_info.py",
    "tests/test_toy_vendor.py",
    "-m",
    "not airflow",
)
_REAL_AIRFLOW = (
    "dev/installed.py",
    "tests/test_provider_info.py::test_airflows_command_line_shows_us_without_a_warning",
    "tests/real_airflow/test_end_to_end.py",
)


class MatrixError(Exception):
    """Nothing can be run; the message is one sentence for a person."""


@dataclass(frozen=True)
class Pair:
    """One row of the table.

    :param pins: name of the constraint file without its ending
    :param python: version of the interpreter, such as `3.12`
    :param runs: what to give pytest, one run after the other
    """

    pins: str
    python: str
    runs: Sequence[Sequence[str]]

    @property
    def constraints(self) -> Path:
        """The file with the pins."""
        return bootstrap.ROOT / "tests" / "constraints" / f"{self.pins}.txt"

    @property
    def airflow(self) -> str:
        """Airflow's version."""
        return bootstrap.pinned(self.constraints, "apache-airflow")

    @property
    def name(self) -> str:
        """How the row is called."""
        return f"{self.pins}-python-{self.python}"


@dataclass(frozen=True)
class OutcomeKind:
    """What came of a row.

    :param trouble: what went wrong, empty if nothing
    """

    pair: Pair
    passed: int
    seconds: float
    trouble: str


# What object stores need is an extra, and not installed here.
EVERYTHING = (("-m", "not airflow", "--ignore=tests/files/test_s3.py", "tests"), _REAL_AIRFLOW)
MATRIX = (
    *(Pair(pins, python, EVERYTHING) for pins in CONSTRAINTS for python in PYTHONS),
    Pair("lowest", "3.11", EVERYTHING),
)
# One pair a version. `make test` has run everything with 3.3.2; there only the wheel is new.
CHECK = (
    Pair("airflow-3.1", "3.11", (_TOUCHING_AIRFLOW, _REAL_AIRFLOW)),
    Pair("airflow-3.2", "3.13", (_TOUCHING_AIRFLOW, _REAL_AIRFLOW)),
    Pair("airflow-3.3", "3.12", (_REAL_AIRFLOW[:2],)),
)


def main() -> int:
    """Run the rows and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short",
        action="store_true",
        help="one pair a version and fewer tests, with whatever Python is here",
    )
    parser.add_argument(
        "--only", default="", help="rows whose name contains this, such as lowest or python-3.13"
    )
    arguments = parser.parse_args()
    pairs = [pair for pair in (CHECK if arguments.short else MATRIX) if arguments.only in pair.name]
    try:
        rows = with_interpreters(pairs, take_another=arguments.short)
        built = wheel.build(FOLDER / "wheel")
    except (MatrixError, wheel.WheelError) as error:
        print(f"make matrix: {error}", file=sys.stderr)
        return 1
    _say(f"Built {built.name}")
    _copy_tests()
    outcomes = [_run(pair, python, built) for pair, python in rows]
    _say(f"\n{table(outcomes)}")
    resolved = extras.resolve_all(built, FOLDER) if arguments.only in "extras" and not arguments.short else []
    _say(extras.table(resolved))
    troubles = [row.trouble for row in outcomes] + [row.trouble for row in resolved]
    return 1 if not troubles or any(troubles) else 0


def table(outcomes: Sequence[OutcomeKind]) -> str:
    """Return the closing table."""
    head = ("pins", "Airflow", "Python", "passed", "seconds", "outcome")
    rows = [head] + [
        (
            outcome.pair.pins,
            outcome.pair.airflow,
            outcome.pair.python,
            str(outcome.passed),
            f"{outcome.seconds:.0f}",
            "FAILED" if outcome.trouble else "passed",
        )
        for outcome in outcomes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def with_interpreters(
    pairs: Sequence[Pair],
    *,
    take_another: bool,
    find: Callable[[str], Path | None] = interpreters.find,
) -> list[tuple[Pair, Path]]:
    """Return each pair with its interpreter; or with another one that its Airflow is for, and say so."""
    found = {version: find(version) for version in {*PYTHONS, *(pair.python for pair in pairs)}}
    rows = []
    for pair in pairs:
        others = [version for version in PYTHONS if found[version]] if take_another else []
        version = next((version for version in (pair.python, *others) if found[version]), None)
        if version is None:
            raise MatrixError(
                f"there is no Python {pair.python} on the PATH, with uv or with pyenv, to run {pair.name}; "
                "nothing was run"
            )
        if version != pair.python:
            _say(f"{pair.name}: this machine has no Python {pair.python}, so it runs on {version} instead")
        python = found[version]
        assert python is not None
        rows.append((replace(pair, python=version), python))
    return rows


def _copy_tests() -> None:
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    shutil.copytree(bootstrap.ROOT, CHECKOUT, ignore=shutil.ignore_patterns(*_NOT_COPIED))


def _run(pair: Pair, python: Path, built: Path) -> OutcomeKind:
    started = time.monotonic()
    folder = FOLDER / pair.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    passed = 0
    trouble = ""
    _say(f"{pair.name}: installing Airflow {pair.airflow} and the wheel")
    if not _install(folder / "venv", python, built, pair.constraints, log):
        trouble = "the installation failed"
    else:
        for number, arguments in enumerate(pair.runs):
            _say(f"{pair.name}: pytest {' '.join(arguments)}")
            report = folder / f"tests-{number}.xml"
            command = [str(folder / "venv" / "bin" / "python"), "-m", "pytest", "-q", f"--junitxml={report}"]
            done = _logged([*command, *arguments], log, CHECKOUT)
            passed += passed_in(report)
            if not done:
                trouble = "tests failed"
    seconds = time.monotonic() - started
    if trouble:
        end = log.read_text(errors="replace").splitlines()[-60:]
        _say("\n".join([*end, "", f"{pair.name}: {trouble}, all of it in {log.relative_to(bootstrap.ROOT)}"]))
    else:
        _say(f"{pair.name}: {passed} tests passed in {seconds:.0f} s")
        # Ten environments are several gigabytes.
        shutil.rmtree(folder / "venv")
    return OutcomeKind(pair, passed, seconds, trouble)


def _install(venv: Path, python: Path, built: Path, constraints: Path, log: Path) -> bool:
    uv = [sys.executable, "-m", "uv"]
    pins = ["--constraint", str(constraints), "--build-constraint", str(constraints)]
    return _logged([*uv, "venv", "--python", str(python), str(venv)], log, FOLDER) and _logged(
        [*uv, "pip", "install", "--python", str(venv / "bin" / "python"), *pins, f"{built}[test]"],
        log,
        FOLDER,
    )


def _logged(command: list[str], log: Path, folder: Path) -> bool:
    """Run a command, append what it writes to the log, and return whether it succeeded."""
    # Nothing of the environment that this runs in, nor of another Airflow on this machine.
    strangers = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV", "CONDA")
    env = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
    env = {"UV_CACHE_DIR": str(bootstrap.DOWNLOADS / "uv")} | env | {"UV_PYTHON_DOWNLOADS": "never"}
    with log.open("ab") as output:
        done = subprocess.run(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    return done.returncode == 0


def passed_in(report: Path) -> int:
    """Return how many tests of a run passed; none if it did not get as far as to report."""
    if not report.is_file():
        return 0
    # Written by pytest a moment ago.
    suites = list(ElementTree.parse(report).iter("testsuite"))  # noqa: S314
    return sum(
        int(suite.get("tests", 0))
        - sum(int(suite.get(kind, 0)) for kind in ("failures", "errors", "skipped"))
        for suite in suites
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
