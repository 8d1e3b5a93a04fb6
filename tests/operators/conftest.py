"""Airflow's own warnings are no concern of these tests."""

from __future__ import annotations

from tests.support.first_use import use_airflow_once

use_airflow_once()
