"""Simulated OSDP readers on an RS-485 line: own framing, own secure channel, and everything a hand can do to them."""
