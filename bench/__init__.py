"""Figures against floors taken in the same run (`make bench`): a table, and build/bench.json. Fails on nothing."""
