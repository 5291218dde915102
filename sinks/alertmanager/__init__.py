"""Alerts to Alertmanager, by its API v2."""
