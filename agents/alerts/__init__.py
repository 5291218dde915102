"""Alerts: what people must know about surges, crises and overdue clocks, and when it is over."""

from agents.alerts.decider import AlertsDecider

__all__ = ["AlertsDecider"]
