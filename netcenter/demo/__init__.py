"""The demo: a day of an airline on a real Kafka and PostgreSQL."""
