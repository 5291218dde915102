"""The policy: what the operator of Netcenter decides, as one TOML file; shared by every decision."""

from agents.policy.model import Brand, Desk, Features, Policy, PolicyError, Rule, digest, parse

__all__ = ["Brand", "Desk", "Features", "Policy", "PolicyError", "Rule", "digest", "parse"]
