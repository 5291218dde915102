"""What several tests use: facts, worlds, brokers, and waiting for a condition."""
