"""Transports: they own the bytes of a line, the protocols own the meaning."""
