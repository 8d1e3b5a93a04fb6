"""A task that Airflow stops leaves nothing half done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_jobstatus.files.steps import stop


class Interruptible:
    """
    Ends the work with an exception when Airflow stops the task, so that what was begun is cleaned up.

    On SIGTERM Airflow 3 calls ``on_kill`` in the middle of whatever the task does, and kills the process some
    seconds later; nothing else interrupts it.
    """

    _at_work = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be interrupted by ``on_kill`` for as long as the ``with`` lasts."""
        self._at_work = True
        try:
            yield
        finally:
            self._at_work = False

    def on_kill(self) -> None:
        """Interrupt the work. After a time-out Airflow calls this, too; then nothing is left to interrupt."""
        if self._at_work:
            self._at_work = False
            stop(SystemExit("Airflow has stopped the task"))
