"""Tells people what they must know, once, and when it is over."""

from agents.alerts.decider import AlertsDecider

__all__ = ["AlertsDecider"]
