"""What an operator of an installation runs."""
