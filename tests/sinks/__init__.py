"""What the sinks promise, over a real PostgreSQL and a real HTTP receiver."""
