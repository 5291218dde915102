"""The policy: one TOML file in which the operator of Netcenter sets brands, rules, desks and limits."""

from agents.policy.desk_policy import Desk
from agents.policy.matching import Features
from agents.policy.parsing import PolicyError, digest, parse
from agents.policy.policy import Brand, Policy, Rule

__all__ = ["Brand", "Desk", "Features", "Policy", "PolicyError", "Rule", "digest", "parse"]
