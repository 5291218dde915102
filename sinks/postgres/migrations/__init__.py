"""The migrations, as a package so that an installation brings them along."""
