"""Cases: which posts need an answer, by when, and whether it came in time."""

from agents.cases.decider import CasesDecider

__all__ = ["CasesDecider"]
