"""One suite over every classifier that can stand behind the port: ours, one over HTTP, one of one's own in Python."""
