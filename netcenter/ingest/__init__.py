"""Plays files into the log."""
