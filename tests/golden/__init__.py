"""What each release stored in Airflow's database: the arguments of a trigger, and its event."""
