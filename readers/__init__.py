"""Wires: protocols without I/O, and the transports that move their bytes. Imports nothing of ours."""
