"""What :mod:`dev.real_triggerer` measures, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from dev.real_triggerer.machine import Memory


@dataclass(frozen=True)
class Sizes:
    """
    How much is measured; durations in seconds.

    :param spread: time over which the jobs end.
    :param settle: time that a triggerer has to come to rest before a window.
    :param limit: of one step of one DAG.
    """

    waits: int
    interval: float
    windows: int
    window: float
    spread: float
    settle: float
    limit: float


@dataclass(frozen=True)
class Costs:
    """Seconds, and CPU seconds of Airflow with its database and of the whole machine."""

    seconds: float
    airflow: float
    machine: float


@dataclass(frozen=True)
class Window:
    """CPU seconds of a triggerer, and what the vendor saw meanwhile."""

    seconds: float
    cpu: float
    airflow: float
    requests: int
    connections: int


@dataclass
class Result:
    """
    What was measured of one DAG.

    :ivar exact_defer: seconds from the run's trigger until the last deferral was stored.
    :ivar served: seconds from a job's end until a status of its own first said so, by job.
    :ivar delays: seconds from a job's end to its task's success, by job; of a list, from the last job's end.
    """

    subject: str
    tasks: int
    idle: list[Window] = field(default_factory=list)
    idle_memory: Memory = field(default_factory=Memory)
    defer: Costs | None = None
    exact_defer: float = 0.0
    windows: list[Window] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    finish: Costs | None = None
    requests: dict[str, int] = field(default_factory=dict)
    served: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
