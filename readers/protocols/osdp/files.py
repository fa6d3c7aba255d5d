"""One file on its way to a reader (osdp_FILETRANSFER, SIA OSDP 2.2.2 §6.26)."""

from __future__ import annotations

from typing import Final

from readers.protocols.osdp import commands
from readers.protocols.osdp.commands import Command
from readers.protocols.osdp.replies import FileStatus

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
FRAGMENT_BYTES: Final = 64
"""Where a reader does not say what it takes: 128 bytes is the least that the standard asks of a receiver, and a frame
is longer than what it carries.
"""
_OVERHEAD_BYTES: Final = 48
_FRAGMENT_BYTES_MAX: Final = 1024
_FINISHING: Final = 3
_DONE: Final = (1, 2)


class FileTransfer:
    """Fragments out, their fate in. `why` is "" until it ended badly."""

    def __init__(self, kind: int, content: bytes, receive_bytes: int) -> None:
        self._kind = kind
        self._content = content
        self._at = 0
        self._sent = 0
        most = receive_bytes - _OVERHEAD_BYTES if receive_bytes else FRAGMENT_BYTES
        self._fragment_bytes = max(FRAGMENT_BYTES, min(most, _FRAGMENT_BYTES_MAX))
        self.not_before_ms = 0
        self.is_done = False
        self.why = ""

    @property
    def is_over(self) -> bool:
        return self.is_done or bool(self.why)

    def next_command(self) -> Command:
        """The fragment to send now; an empty one asks a reader that is still at it."""
        piece = self._content[self._at : self._at + self._fragment_bytes]
        self._sent = len(piece)
        return commands.file_fragment(self._kind, len(self._content), self._at, piece)

    def take(self, told: FileStatus, now_ms: int) -> None:
        """What the reader made of it."""
        self.not_before_ms = now_ms + told.delay_ms
        if told.fragment_bytes_max:
            self._fragment_bytes = min(told.fragment_bytes_max, _FRAGMENT_BYTES_MAX)
        if told.code < 0:
            self.why = "refused"
            return
        self._at += self._sent
        self._sent = 0
        is_whole = self._at >= len(self._content)
        if told.code in _DONE:
            self.is_done = is_whole
            self.why = "" if is_whole else "ended early"
        elif is_whole and told.code != _FINISHING:
            self.is_done = True
