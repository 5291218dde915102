"""PostgreSQL as a projection of every public topic."""
