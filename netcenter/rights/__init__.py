"""Who may do what in Kafka: the least rights of every user of an installation, from the pipeline."""
