"""Sees the flood: is a brand spoken of far more than is usual at this hour?"""

from agents.surge.decider import SurgeDecider

__all__ = ["SurgeDecider"]
