"""Where results go: a port and its implementations, PostgreSQL and one module per receiver of alerts."""
