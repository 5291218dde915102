"""Benchmarks: the same work by Netcenter and by its peers, in one run on one machine."""
