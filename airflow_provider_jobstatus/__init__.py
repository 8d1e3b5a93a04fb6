"""Wait in Apache Airflow for batch jobs at Aftercare, QuestionPro, Ruler Analytics and Talkdesk."""
