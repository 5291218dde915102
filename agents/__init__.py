"""What is decided, pure: no Kafka, clock, environment or network below this folder."""
