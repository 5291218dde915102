"""Everything that the command line does with a Kafka broker."""
