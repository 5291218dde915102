"""Alerts to an HTTP receiver, as signed CloudEvents."""
