"""Playing files into the log."""
