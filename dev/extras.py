"""Resolves each extra as a user installs it, with plain pip and no pins, and counts what the resolver reads.

A resolver that cannot make two requirements agree reads the metadata of one version after the other, for
minutes or without an end.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: The extras that install a filesystem.
EXTRAS = ("s3", "gcs", "azure")
#: Versions of one package that an installation may look at.
MAX_VERSIONS = 2
#: Seconds after which an installation counts as one without an end.
MAX_SECONDS = 1200
#: Packages that no bound of ours can help, and how many of their versions are looked at before that is too
#: many. boto3 has a release each working day, and aiobotocore, some weeks behind, goes with one botocore; the
#: bound that would name the boto3 to that would be wrong a week later.
BEHIND = {"boto3": 60}

_LOOKED_AT = re.compile(
    r"^\s*(?:Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+?)-(\d[^-\s]*)[-.]", re.MULTILINE
)


@dataclass(frozen=True)
class Resolution:
    """What pip did.

    :param name: of what was installed
    :param seconds: it took
    :param versions: how many versions of each package pip looked at
    :param trouble: what went wrong, empty if nothing
    """

    name: str
    seconds: float
    versions: Mapping[str, int]
    trouble: str


def resolve_all(built: Path, folder: Path) -> list[Resolution]:
    """Resolve Airflow alone, then the wheel with each extra, and judge each by what Airflow alone needs.

    :param built: the wheel
    :param folder: for pip's logs
    """
    alone = _resolve("apache-airflow", "apache-airflow", folder, None)
    return [alone] + [
        _resolve(f"pip-{extra}", f"{built}[{extra}]", folder, alone.versions) for extra in EXTRAS
    ]


def versions_in(log: str) -> dict[str, int]:
    """Return how many versions of each package pip says it has looked at."""
    seen = {(name.lower().replace("_", "-"), version) for name, version in _LOOKED_AT.findall(log)}
    counts: dict[str, int] = {}
    for name, _ in seen:
        counts[name] = counts.get(name, 0) + 1
    return counts


def too_many(versions: Mapping[str, int], alone: Mapping[str, int]) -> list[str]:
    """Return the packages of which an installation looks at too many versions.

    :param alone: what it takes to install Airflow alone: that is Airflow's to mend
    """
    return [
        f"{name} ({count})"
        for name, count in sorted(versions.items())
        if count > max(BEHIND.get(name, MAX_VERSIONS), alone.get(name, 0))
    ]


def _resolve(name: str, requirement: str, folder: Path, alone: Mapping[str, int] | None) -> Resolution:
    # Nothing is installed, and nothing that is there already counts.
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-cache-dir"]
    print(f"{name}: pip install {Path(requirement).name}", flush=True)
    started = time.monotonic()
    try:
        done = subprocess.run(
            [*command, requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MAX_SECONDS,
        )
        log, ended = done.stdout, done.returncode == 0
    except subprocess.TimeoutExpired as expired:
        log, ended = (expired.stdout or b"").decode(errors="replace"), False
    (folder / f"{name}.txt").write_text(log)
    versions = versions_in(log)
    trouble = "" if ended else "pip came to no end"
    if ended and alone is not None and (many := too_many(versions, alone)):
        trouble = f"too many versions: {', '.join(many)}"
    return Resolution(name, time.monotonic() - started, versions, trouble)


def table(resolutions: Iterable[Resolution]) -> str:
    """Return one line for each installation."""
    lines = []
    for each in resolutions:
        many = ", ".join(f"{name} {count}" for name, count in sorted(each.versions.items()) if count > 1)
        trouble = f"  FAILED: {each.trouble}" if each.trouble else ""
        size = f"{len(each.versions):4} packages {each.seconds:5.0f} s"
        lines.append(f"{each.name:15}{size}  more than one version: {many or 'none'}{trouble}")
    return "\n".join(lines)
