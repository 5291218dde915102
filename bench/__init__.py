"""The same work, ours beside its peers."""
