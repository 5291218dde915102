"""The decisions, all pure: nothing in this folder uses Kafka, a clock, the environment or the network."""
