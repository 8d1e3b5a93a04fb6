"""The tables of ``dev.real_triggerer``: what is taken off, what is divided by what."""

from __future__ import annotations

from dev.real_triggerer import table as real_table
from dev.real_triggerer.machine import Memory
from dev.real_triggerer.result import Costs, Result, Window

ABOUT = {
    "at": "2026-11-27T02:00:00+00:00",
    "airflow": "3.3.2",
    "http_provider": "6.3.0",
    "python": "3.12.1",
    "cores": 2,
    "parallelism": 4,
    "sizes": {"waits": 10, "interval": 5.0, "spread": 5.0},
}


def _result(subject: str, cpu: float, requests: int) -> Result:
    return Result(
        subject,
        tasks=10,
        idle=[Window(20.0, 0.2, 1.0, 0, 0)],
        idle_memory=Memory(100.0, 80.0),
        defer=Costs(30.0, 12.0, 15.0),
        exact_defer=29.5,
        windows=[Window(20.0, cpu, 3.0, requests, 0), Window(20.0, cpu + 0.1, 3.0, requests, 0)],
        memory=Memory(130.0, 100.0),
        finish=Costs(40.0, 7.0, 9.0),
        served=[1.0, 2.0, 3.0],
        delays=[2.0, 4.0, 6.0],
    )


def test_what_an_idle_airflow_costs_is_taken_off() -> None:
    figures = real_table.figures(_result("ruler", cpu=0.5, requests=40))

    # 0.2 s in 20 s are 0.6 s a minute.
    assert [round(value, 6) for value in figures["triggerer's CPU while waiting, s per min"]] == [0.9, 1.2]
    assert figures["triggerer's memory (PSS), MiB"] == [20.0]
    # 1 s in 20 s, for 40 s.
    assert figures["CPU to finish, s"] == [5.0]


def test_a_ratio_above_one_is_for_us_and_none_is_made_of_noise() -> None:
    peer = _result("http_sensor", cpu=1.2, requests=40)
    ours = _result("ruler", cpu=0.3, requests=4)
    table = real_table.markdown(ABOUT, [peer, ours, _result("ruler_list", cpu=0.1, requests=0)])

    assert "| requests per min | 10 | 120.0 to 0.0 |" in table
    assert "| triggerer's CPU while waiting | 7.0 | 3.1 to -0.1 |" in table
    assert "| end to success, p99 | 1.0 | 1.0 |" in table


def test_a_wait_that_was_not_ended_has_no_figure_of_its_end() -> None:
    held = _result("held", cpu=0.3, requests=0)
    held.finish, held.served, held.delays = None, [], []

    assert real_table.figures(held)["end to success, p50, s"] == []
    assert "| CPU to finish, s |  |" in real_table.markdown(ABOUT, [held])


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(101)]

    assert real_table.percentile(values, 0.5) == 50.0
    assert real_table.percentile(values, 0.99) == 99.0
    assert real_table.percentile([3.0], 0.99) == 3.0
