"""All dealings of the command line with a Kafka broker."""
