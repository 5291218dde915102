"""Alerts to PagerDuty, as events of its Events API v2."""
