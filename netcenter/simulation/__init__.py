"""Operators that are simulated: they sign in, answer offers and answer customers, as a TOML file says."""
