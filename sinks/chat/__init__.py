"""Alerts to chat rooms and mailboxes, through Apprise."""
