"""Settings become servers' addresses, classifiers, sinks and log lines."""
