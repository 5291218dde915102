"""Cases: which posts need an answer, by when, and whether the answer came in time."""

from agents.cases.decider import CasesDecider
from agents.cases.state import carried

__all__ = ["CasesDecider", "carried"]
