"""Whose fault it was: the peer's, the line's, or this machine's installation.

A protocol object never raises on bad bytes: it counts them and goes on. These errors are for callers that ask for
something that the wire cannot give. Misuse by our own code raises ValueError or RuntimeError as everywhere.

    ReaderError
    ├── ProtocolError     the peer broke the rules of its protocol
    ├── TransportError    the line broke: unplugged, hung up, taken by another program
    └── MissingDriver     a system library is not installed; the message names the Debian package
"""

from __future__ import annotations


class ReaderError(Exception):
    """Base of every error that `readers` raises about the world."""


class ProtocolError(ReaderError):
    """The peer sent whole, well-checked bytes that its protocol does not allow here."""


class TransportError(ReaderError):
    """The line broke or could not be opened. The message names the port and what to do about it."""


class MissingDriver(ReaderError):
    """A system library is missing. The message names the Debian package that brings it."""
