"""One suite for each port, over everything that stands behind it: classifiers, Deciders."""
