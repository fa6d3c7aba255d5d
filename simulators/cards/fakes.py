"""Cards as an attacker makes or a nervous hand holds them. Each says what it knows; none knows the site's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.cards.desfire import Application, CardKey, Desfire, SecureCard, StdFile
from simulators.cards.plain import Card, FelicaCard, IsoDepCard, TypeACard
from simulators.cards.site import AID, CREDENTIAL_FILE, MASTER, READ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def wrong_keys(uid: bytes, key: bytes = bytes(16), *, version: int = 1, generation: str = "ev2") -> Desfire:
    """Right UID, right application and file, but keys the cloner made up (zeros unless told otherwise)."""
    keys = [CardKey(value=key, version=version)] * 3
    file = StdFile(mode=3, access=(READ, MASTER, MASTER, MASTER), content=bytearray(32))
    home = Application(keys=keys, settings=0x0B, files={CREDENTIAL_FILE: file})
    assert generation in ("ev1", "ev2", "ev3")
    return Desfire(uid, generation=generation, picc_key=keys[0], applications={AID: home})  # type: ignore[arg-type]


def no_application(uid: bytes) -> Desfire:
    """Right UID on somebody else's DESFire: nothing of the site on it."""
    return Desfire(uid, picc_key=CardKey(value=b"\x5a" * 16))


class Wrapped(IsoDepCard):
    """Stands before another ISO-DEP card and spoils what it does."""

    __slots__ = ("inner",)

    def __init__(self, inner: TypeACard) -> None:
        super().__init__(inner.uid, ats=inner.ats)
        self.inner = inner

    def activate(self) -> None:
        """A reader selects it."""
        super().activate()
        self.inner.activate()

    def field_lost(self) -> None:
        """Its power is gone, and the inner card's."""
        super().field_lost()
        self.inner.field_lost()
        self.uid, self.atqa = self.inner.uid, self.inner.atqa


class LeavingCard(Wrapped):
    """Falls silent after `commands` commands of one presentation."""

    __slots__ = ("commands", "left")

    def __init__(self, inner: TypeACard, commands: int) -> None:
        super().__init__(inner)
        self.commands = self.left = commands

    def _forget(self) -> None:
        self.left = getattr(self, "commands", 0)

    def exchange(self, command: bytes) -> bytes | None:
        """What the inner card answers, while it lasts."""
        if self.left <= 0:
            return None
        self.left -= 1
        return self.inner.exchange(command)


class GarbageCard(Wrapped):
    """Answers with whatever `noise(command, answer)` makes of the right answer."""

    __slots__ = ("noise",)

    def __init__(self, inner: TypeACard, noise: Callable[[bytes, bytes], bytes | None]) -> None:
        super().__init__(inner)
        self.noise = noise

    def exchange(self, command: bytes) -> bytes | None:
        """The spoilt answer."""
        return self.noise(command, self.inner.exchange(command) or b"")


class RecordingCard(Wrapped):
    """A relay that writes down what passes: what an eavesdropper has afterwards."""

    __slots__ = ("transcript",)

    def __init__(self, inner: TypeACard) -> None:
        super().__init__(inner)
        self.transcript: list[tuple[bytes, bytes | None]] = []

    def exchange(self, command: bytes) -> bytes | None:
        """The inner card's own answer."""
        answer = self.inner.exchange(command)
        self.transcript.append((command, answer))
        return answer


class RecordingFelica(FelicaCard):
    """The same for a FeliCa."""

    __slots__ = ("inner", "transcript")

    def __init__(self, inner: FelicaCard) -> None:
        super().__init__(idm=inner.idm, pmm=inner.pmm, system_code=inner.system_code)
        self.inner = inner
        self.transcript: list[tuple[bytes, bytes | None]] = []

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def field_lost(self) -> None:
        """Its power is gone."""
        self.inner.field_lost()

    def exchange(self, command: bytes) -> bytes | None:
        """The inner card's own answer."""
        answer = self.inner.exchange(command)
        self.transcript.append((command, answer))
        return answer


class ReplayingCard(IsoDepCard):
    """Answers from a recording: the same command first, else by its place in the conversation."""

    __slots__ = ("_place", "transcript")

    def __init__(self, uid: bytes, transcript: Sequence[tuple[bytes, bytes | None]]) -> None:
        super().__init__(uid)
        self.transcript = tuple(transcript)
        self._place = 0

    def _forget(self) -> None:
        self._place = 0

    def exchange(self, command: bytes) -> bytes | None:
        """What was answered when it was recorded."""
        place, self._place = self._place, self._place + 1
        for asked, answered in self.transcript[place : place + 1]:
            if asked[:2] == command[:2]:
                return answered
        return next((answered for asked, answered in self.transcript if asked == command), None)


class ReplayingFelica(FelicaCard):
    """A FeliCa that answers from a recording, by command code and place."""

    __slots__ = ("_place", "transcript")

    def __init__(self, idm: bytes, transcript: Sequence[tuple[bytes, bytes | None]]) -> None:
        super().__init__(idm=idm)
        self.transcript = tuple(transcript)
        self._place = 0

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def field_lost(self) -> None:
        """Begins again."""
        self._place = 0

    def exchange(self, _command: bytes) -> bytes | None:
        """What was answered when it was recorded."""
        place, self._place = self._place, self._place + 1
        return self.transcript[place][1] if place < len(self.transcript) else None


class FakeBlank(SecureCard):
    """A "blank" that only wants to hear keys (complaint 12): says yes to everything, and keeps what it was given."""

    __slots__ = ("heard", "version_answer")

    def __init__(self, uid: bytes, *, version_answer: bytes = bytes.fromhex("04010112001a05")) -> None:
        super().__init__(uid, ats=bytes.fromhex("067577810280"))
        self.heard: list[bytes] = []
        self.version_answer = version_answer

    def exchange(self, command: bytes) -> bytes | None:
        """A plausible answer to anything."""
        self.heard.append(command)
        if command[:1] == b"\x00":
            return b"\x90\x00"
        ins = command[1] if command[:1] == b"\x90" and len(command) > 1 else command[0] if command else 0
        code, reply = self._plausible(ins)
        return reply + bytes((0x91, code)) if command[:1] == b"\x90" else bytes((code,)) + reply

    def _plausible(self, ins: int) -> tuple[int, bytes]:
        if ins in (0x0A, 0x1A):
            return 0xAF, self._random(8)
        if ins in (0xAA, 0x71):
            return 0xAF, self._random(16)
        if ins == 0x60:
            return 0xAF, self.version_answer
        return 0x00, bytes(56) if ins == 0x3C else b""


def copies(card: Card) -> bool:
    """Whether a card is only a copied number."""
    return type(card) in (TypeACard, FelicaCard)
