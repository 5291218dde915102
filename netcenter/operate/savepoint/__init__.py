"""Savepoints: the state of every role at one moment, for a log with other topics or another number of partitions."""
