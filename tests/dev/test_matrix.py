"""The matrix itself: which interpreter a row gets, and what counts as passed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dev import interpreters, matrix

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def only_one_python(version: str) -> Path | None:
    return Path("/python3.12") if version == "3.12" else None


def pairs(*pythons: str) -> list[matrix.Pair]:
    return [matrix.Pair("airflow-3.3", python, ()) for python in pythons]


def test_the_interpreter_that_runs_is_found_by_its_version() -> None:
    found = interpreters.find(HERE)

    assert found is not None
    assert found.resolve() == Path(sys.executable).resolve()


def test_there_is_no_interpreter_of_a_version_that_nobody_has() -> None:
    assert interpreters.find("3.99") is None


def test_the_matrix_runs_nothing_when_an_interpreter_is_missing() -> None:
    with pytest.raises(matrix.MatrixError, match=r"no Python 3\.99"):
        matrix.with_interpreters(pairs("3.12", "3.99"), take_another=False, find=only_one_python)


def test_a_check_takes_another_python_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    rows = matrix.with_interpreters(pairs("3.99"), take_another=True, find=only_one_python)

    assert rows == [(*pairs("3.12"), Path("/python3.12"))]
    assert "no Python 3.99, so it runs on 3.12" in capsys.readouterr().out


def test_what_failed_broke_or_was_skipped_has_not_passed(tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>')

    assert matrix.passed_in(report) == 3
    assert matrix.passed_in(tmp_path / "none.xml") == 0
