"""Alerts: what people must know about surges, crises and overdue clocks, and when an alert is resolved."""

from agents.alerts.decider import AlertsDecider
from agents.alerts.state import carried

__all__ = ["AlertsDecider", "carried"]
