"""What a task that is told to stop ends first."""

from __future__ import annotations

from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.files.steps import ended_first, stop
from tests.support.storage import attached, memory_files, write


def test_a_task_stops_at_once_between_steps_and_after_a_step() -> None:
    done = []
    with pytest.raises(SystemExit):
        stop(SystemExit())
    with pytest.raises(SystemExit), ended_first():  # noqa: PT012
        with ended_first():
            stop(SystemExit())
            done.append("inner")
        done.append("outer")
    with ended_first():
        done.append("the next task's")
    assert done == ["inner", "outer", "the next task's"]


def test_a_step_that_fails_ends_the_task_all_the_same() -> None:
    with pytest.raises(SystemExit) as caught, ended_first():  # noqa: PT012
        stop(SystemExit())
        raise OSError("the disk is full")
    assert isinstance(caught.value.__context__, OSError)


class Told(MemoryFileSystem):  # type: ignore[misc]
    """A storage whose task is told to stop while a file is made."""

    cachable = False
    interrupted = False

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        try:
            stop(SystemExit())
        except SystemExit:
            self.interrupted = True  # a server may make the file all the same, and later
            raise
        return super()._open(path, mode, **options)


def test_a_file_is_made_before_it_is_removed() -> None:
    memory = Told(global_store=False)
    with attached(memory, "memory"), pytest.raises(SystemExit):
        write("memory://lake/june.csv")
    assert (memory.interrupted, memory_files(memory)) == (False, {})
