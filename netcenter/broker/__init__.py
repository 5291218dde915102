"""Every dealing of the command line with a Kafka broker."""
