"""A real Airflow, started as processes: for the end-to-end test and for `make demo`."""
