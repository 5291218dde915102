"""Alerts: what people must know about surges, crises, silent channels and overdue clocks, and when an alert is resolved."""

from agents.alerts.decider import AlertsDecider
from agents.alerts.forms import FORMS
from agents.alerts.state import carried

__all__ = ["FORMS", "AlertsDecider", "carried"]
