"""Imported once by the process that all hosts are forked from, so that a host begins within milliseconds."""

from tests.support.first_use import use_airflow_once

use_airflow_once()
