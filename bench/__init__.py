"""Figures against floors taken in the same run (`make bench`). Prints a table and writes build/bench.json; fails on nothing."""
