"""The domain, pure: who may enter which zone, and what a portal does. No clock, no I/O, no randomness, no logging."""
