"""Tells what a post asks of the care team: complaint, question, praise or other."""
