"""Protocols without I/O: bytes in, events out. They never raise on bad bytes and never look at a clock."""
