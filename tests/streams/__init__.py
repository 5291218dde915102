"""Tests of how events move, most of them on a real broker."""
