"""The policy: what the operator of Netcenter decides, as one TOML file; shared by every decision."""

from agents.policy.matching import Features
from agents.policy.parsing import PolicyError, digest, parse
from agents.policy.policy import Brand, Desk, Policy, Rule

__all__ = ["Brand", "Desk", "Features", "Policy", "PolicyError", "Rule", "digest", "parse"]
