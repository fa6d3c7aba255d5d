"""What can be wrong with a ledger, by what the one who reads the message can do about it.

LedgerUnavailable passes when the disk does. The others are for a human: nothing here repairs, renames or starts afresh.
"""

from __future__ import annotations


class LedgerError(Exception):
    """Base of all. `str()` names the file and, where there is something to do, says what."""


class LedgerUnavailable(LedgerError):
    """The records were not stored (disk full, I/O error); the ledger is as before and may be tried again."""


class LedgerRefused(LedgerError):
    """The file is not one this program may write: no ledger, a newer one, a torn-away journal, or in use elsewhere."""


class LedgerDamaged(LedgerError):
    """The end of the ledger does not hold together. `seq`: the first record that may be bad, if known."""

    def __init__(self, message: str, *, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq


class KeyRefused(LedgerError):
    """The signing key file is missing, readable by others, or no Ed25519 key."""
