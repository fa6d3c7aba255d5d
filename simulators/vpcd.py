"""A simulated card on a simulated desk reader: vsmartcard's vpcd, the virtual reader of pcscd, over TCP.

Owns the connection and what a reader itself does: the ATR as PC/SC part 3 makes it of a contactless card, FF CA for the
number, power and reset. The card answers everything else. vpcd listens; we are the card that comes and goes.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.cards import TypeACard

POWER_OFF, POWER_ON, RESET, ASK_ATR = b"\x00", b"\x01", b"\x02", b"\x04"
DONE, NO_CARD, NOT_KNOWN = b"\x90\x00", b"\x6f\x00", b"\x6a\x81"
CONNECT_S = 5.0
HISTORY_AT = {0x10: 1, 0x20: 1, 0x40: 1}  # T0's bits for TA, TB, TC: one byte each


def history_of(ats: bytes) -> bytes:
    """The historical bytes of an ATS (its length byte first)."""
    if len(ats) < 2:
        return b""
    return ats[2 + sum(size for bit, size in HISTORY_AT.items() if ats[1] & bit) : ats[0]]


def atr_of(card: TypeACard) -> bytes:
    """PC/SC part 3 §3.1.3.2.3.1: 3B 8n 80 01, the historical bytes, their exclusive or."""
    history = history_of(card.ats)[:15]
    body = bytes((0x80 | len(history), 0x80, 0x01)) + history
    return b"\x3b" + body + bytes((functools.reduce(operator.xor, body),))


class DeskReader:
    """One virtual reader's slot. One card at a time; `exchanges`: every APDU and its answer, in order."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """`port`: where vpcd listens for the card of this slot."""
        self.exchanges: list[tuple[bytes, bytes]] = []
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._card: TypeACard | None = None

    def place(self, card: TypeACard) -> None:
        """Lay a card onto the reader. Raises OSError when no vpcd listens there."""
        self.take()
        connected = socket.create_connection(self._address, CONNECT_S)
        connected.settimeout(None)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._card = connected, card
        self._thread = threading.Thread(target=self._serve, args=(connected, card), name="vpcd", daemon=True)
        self._thread.start()

    def take(self) -> None:
        """Take the card away. Harmless when none lies there."""
        taken, self._socket = self._socket, None
        if taken is None:
            return
        with contextlib.suppress(OSError):  # vpcd may have gone already
            taken.shutdown(socket.SHUT_RDWR)
        assert self._thread is not None
        self._thread.join(CONNECT_S)
        taken.close()
        if self._card is not None:
            self._card.field_lost()

    def _serve(self, connected: socket.socket, card: TypeACard) -> None:
        while (message := _received(connected)) is not None:
            answer = self._answer(card, message)
            if answer is None:
                continue
            try:
                connected.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                return

    def _answer(self, card: TypeACard, message: bytes) -> bytes | None:
        if message == ASK_ATR:
            return atr_of(card)
        if message in (POWER_OFF, RESET):
            card.field_lost()
        if message in (POWER_ON, RESET):
            card.activate()
        if len(message) < 4:  # no APDU is so short
            return None
        answer = self._pseudo(card, message) if message[0] == 0xFF else card.exchange(message)
        answer = NO_CARD if answer is None else answer
        self.exchanges.append((message, answer))
        return answer

    @staticmethod
    def _pseudo(card: TypeACard, command: bytes) -> bytes:
        """What the reader answers for itself (PC/SC part 3 §3.2.2.1.3)."""
        if command[:3] == b"\xff\xca\x00":
            return card.uid + DONE
        return history_of(card.ats) + DONE if command[:3] == b"\xff\xca\x01" else NOT_KNOWN


def _received(connected: socket.socket) -> bytes | None:
    """One message; None = the other side has gone."""
    head = _exactly(connected, 2)
    return None if head is None else _exactly(connected, int.from_bytes(head, "big"))


def _exactly(connected: socket.socket, count: int) -> bytes | None:
    got = b""
    while len(got) < count:
        try:
            chunk = connected.recv(count - len(got))
        except OSError:
            return None
        if not chunk:
            return None
        got += chunk
    return got
