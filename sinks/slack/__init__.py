"""Alerts to Slack: one message for an incident, edited, with its growth in the thread."""
