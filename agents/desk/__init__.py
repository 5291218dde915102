"""Desk: each case to exactly one operator."""

from agents.desk.decider import DeskDecider

__all__ = ["DeskDecider"]
