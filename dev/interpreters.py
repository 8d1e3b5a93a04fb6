"""Finds the Pythons of this machine by their versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def find(version: str) -> Path | None:
    """Return an interpreter of a version: from the PATH, from what uv knows, from pyenv's folder.

    :param version: major and minor, such as `3.12`
    """
    running = (_running(candidate, version) for candidate in _candidates(version))
    return next((python for python in running if python), None)


def _candidates(version: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.base_prefix) / "bin" / f"python{version}"
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    command = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--system", version]
    if known := _output(command):
        yield Path(known)
    root = os.environ.get("PYENV_ROOT") or _output(["pyenv", "root"]) or "~/.pyenv"
    yield from sorted(Path(root).expanduser().glob(f"versions/{version}.*/bin/python{version}"))


def _running(python: Path, version: str) -> Path | None:
    """Return what runs under this name, if it is that version: pyenv's names may stand for nothing."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    runs, _, executable = (_output([str(python), "-c", code]) or "").partition(" ")
    return Path(executable) if runs == version else None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
