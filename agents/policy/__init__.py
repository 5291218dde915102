"""The policy: what the operator of Netcenter decides, as one TOML file; shared by every decision."""

from agents.policy.matching import Features
from agents.policy.model import Brand, Desk, Policy, Rule
from agents.policy.reading import PolicyError, digest, parse

__all__ = ["Brand", "Desk", "Features", "Policy", "PolicyError", "Rule", "digest", "parse"]
