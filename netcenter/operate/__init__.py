"""The tools that an operator of an installation runs."""
