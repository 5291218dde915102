"""Cases: which posts need an answer, by when, and whether it came in time."""

from agents.cases.decider import Cases

__all__ = ["Cases"]
