"""Turns the names in settings into objects and addresses: servers, classifiers, the process's log."""
