"""readers/transports/pcsc.py against a pcscd that says what no virtual reader can be made to say."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from readers.cards.session import Left, Proved
from readers.events import CardProof, CardRead, CardUnread, DeviceOffline, DeviceOnline
from readers.transports.pcsc import PcscReader
from tests.readers.pn532_bench import Machine

PCSC = {
    "E_COMM_DATA_LOST": 0x8010002F,
    "E_NOT_TRANSACTED": 0x80100016,
    "E_NO_READERS_AVAILABLE": 0x8010002E,
    "E_NO_SERVICE": 0x8010001D,
    "E_NO_SMARTCARD": 0x8010000C,
    "E_PROTO_MISMATCH": 0x8010000F,
    "E_READER_UNAVAILABLE": 0x80100017,
    "E_SERVICE_STOPPED": 0x8010001E,
    "E_SHARING_VIOLATION": 0x8010000B,
    "E_TIMEOUT": 0x8010000A,
    "E_UNKNOWN_READER": 0x80100009,
    "F_INTERNAL_ERROR": 0x80100001,
    "PROTOCOL_T0": 1,
    "PROTOCOL_T1": 2,
    "RESET_CARD": 1,
    "SCOPE_USER": 0,
    "SHARE_EXCLUSIVE": 1,
    "STATE_CHANGED": 2,
    "STATE_EMPTY": 0x10,
    "STATE_INUSE": 0x100,
    "STATE_MUTE": 0x200,
    "STATE_PRESENT": 0x20,
    "STATE_UNAVAILABLE": 8,
    "STATE_UNAWARE": 0,
    "STATE_UNKNOWN": 4,
    "S_SUCCESS": 0,
    "W_REMOVED_CARD": 0x80100069,
    "W_RESET_CARD": 0x80100068,
    "W_SECURITY_VIOLATION": 0x8010006A,
    "W_UNPOWERED_CARD": 0x80100067,
    "W_UNRESPONSIVE_CARD": 0x80100066,
    "W_UNSUPPORTED_CARD": 0x80100065,
}
"""Values of PC/SC part 5 and pcsc-lite, so that these tests need neither."""
scard = SimpleNamespace(**{f"SCARD_{name}": code for name, code in PCSC.items()})

UID = bytes.fromhex("04112233445566")
IDM = bytes.fromhex("0102030405060708")
DESFIRE_ATR = bytes.fromhex("3B8180018080")
FELICA_ATR = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
NAME = "ACS ACR122U PICC Interface 00 00"
EMPTY, PRESENT = scard.SCARD_STATE_EMPTY, scard.SCARD_STATE_PRESENT
ONLINE = DeviceOnline(source="desk")
READ = CardRead(source="desk", number=UID, kind="iso14443a")
PROOF = CardProof(scheme="pkoc", is_genuine=True, nonce=bytes(16))
OK, ENDED = scard.SCARD_S_SUCCESS, object()


class Pcscd(ModuleType):
    """`states`: what SCardGetStatusChange says in turn, a number or an error; after the last one nothing changes."""

    def __init__(self, states, *, atr=DESFIRE_ATR, number=UID, said=(OK, b"\x90\x00"), opens=OK, names=(NAME,)) -> None:
        super().__init__("smartcard.scard")
        vars(self).update(vars(scard))
        self.states, self.atr, self.number, self.said = list(states), atr, number, said
        self.opens, self.names = opens, list(names)
        self.apdus: list[bytes] = []
        self.resets = 0
        self.is_done = threading.Event()

    def SCardEstablishContext(self, scope):  # noqa: N802 - PC/SC's own names
        return self.opens, 1

    def SCardReleaseContext(self, context):  # noqa: N802
        return OK

    def SCardGetErrorMessage(self, code):  # noqa: N802
        return f"code {code}"

    def SCardListReaders(self, context, groups):  # noqa: N802
        return OK, self.names

    def SCardGetStatusChange(self, context, timeout, states):  # noqa: N802
        if not self.states:
            self.is_done.wait(0.01)
            self.is_done.set()
            return scard.SCARD_E_TIMEOUT, states
        state = self.states.pop(0)
        if state is ENDED:
            return scard.SCARD_E_NO_SERVICE, states
        return OK, [(states[0][0], state | scard.SCARD_STATE_CHANGED, [])]

    def SCardConnect(self, context, reader, share, protocols):  # noqa: N802
        return OK, 7, scard.SCARD_PROTOCOL_T1

    def SCardStatus(self, handle):  # noqa: N802
        return OK, NAME, 0, scard.SCARD_PROTOCOL_T1, list(self.atr)

    def SCardTransmit(self, handle, protocol, apdu):  # noqa: N802
        self.apdus.append(bytes(apdu))
        if bytes(apdu) == bytes.fromhex("FFCA000000"):
            return OK, list(self.number + (b"\x90\x00" if self.number else b"\x6a\x81"))
        return self.said[0], list(self.said[1])

    def SCardDisconnect(self, handle, disposition):  # noqa: N802
        self.resets += disposition == scard.SCARD_RESET_CARD
        return OK


@pytest.fixture
def run(monkeypatch, told):
    made = []

    def start(pcscd: Pcscd, **options: object) -> list[object]:
        """What is told until nothing changes any more."""
        monkeypatch.setitem(sys.modules, "smartcard.scard", pcscd)
        made.append(PcscReader("desk", "ACR122U", told, told.wake, **options))
        made[-1].start()
        assert pcscd.is_done.wait(10)
        made[-1].stop()
        return told.drained()

    return start


def at(count: int, state: int) -> int:
    return count << 16 | state


def test_a_card_that_went_and_came_between_two_looks_is_a_new_presentation(run):
    """Somebody who lays his card down twice quickly would be seen once."""
    assert run(Pcscd([at(0, EMPTY), at(1, PRESENT), at(3, PRESENT)])) == [ONLINE, READ, READ]


def test_a_change_that_is_no_coming_is_no_presentation(run):
    """Another program that connects to the card would make it be read again."""
    in_use = PRESENT | scard.SCARD_STATE_INUSE
    assert run(Pcscd([at(1, PRESENT), at(1, in_use), at(1, PRESENT)])) == [ONLINE, READ]


@pytest.mark.req("B-11")
@pytest.mark.parametrize("gone", [ENDED, scard.SCARD_STATE_UNAVAILABLE, scard.SCARD_STATE_UNKNOWN])
def test_a_reader_that_went_and_came_reads_no_card_that_lies_there(run, gone):
    """Pulling the reader's plug and plugging it in would enrol a card twice, or admit somebody."""
    why = "no PC/SC service" if gone is ENDED else "unplugged"
    told = run(Pcscd([at(1, PRESENT), gone, at(0, EMPTY), at(1, PRESENT)]))
    assert told == [ONLINE, READ, DeviceOffline(source="desk", why=why), ONLINE]


def test_a_reader_that_is_pulled_in_the_middle_is_an_unread_card(run):
    """Pulling the plug in the middle of a proof would be a proof, or silence."""
    outcomes = []
    pcscd = Pcscd([at(1, PRESENT)], said=(scard.SCARD_E_READER_UNAVAILABLE, b""))
    told = run(
        pcscd,
        challenge=lambda _: Machine([b"\x00\xa4"], Proved(number=b"x", proof=PROOF), Left()),
        on_outcome=lambda target, outcome: outcomes.append(outcome),
    )
    unread, offline = CardUnread(source="desk", why="line lost"), DeviceOffline(source="desk", why="unplugged")
    assert told[:3] == [ONLINE, unread, offline]
    assert not any(isinstance(event, CardRead) for event in told)
    assert outcomes == [Left()]


@pytest.mark.parametrize("code", [scard.SCARD_W_REMOVED_CARD, scard.SCARD_E_NOT_TRANSACTED, scard.SCARD_W_RESET_CARD])
def test_a_card_that_goes_in_the_middle_is_unread_once(run, code):
    """A card drawn away too soon would be a proof, or fill the ledger."""
    machines = []

    def challenge(target):
        machines.append(Machine([b"\x00\xa4"], Proved(number=b"x", proof=PROOF), Left()))
        return machines[-1]

    pcscd = Pcscd([at(1, PRESENT)] * 6, said=(code, b""))
    assert run(pcscd, challenge=challenge) == [ONLINE, CardUnread(source="desk", why="card left")]
    assert len(machines) == 3
    assert [machine.heard for machine in machines] == [[None]] * 3
    assert pcscd.resets >= 3


def test_a_felica_card_is_told_by_number_and_never_asked(run):
    """Every vendor wraps FeliCa commands differently: a wrong one could write to the card."""
    pcscd = Pcscd([at(1, PRESENT)], atr=FELICA_ATR, number=IDM)
    asked = []
    told = run(pcscd, challenge=asked.append)
    assert told == [ONLINE, CardRead(source="desk", number=IDM, kind="felica")]
    assert asked == []
    assert pcscd.apdus == [bytes.fromhex("FFCA000000")]


def test_a_contact_card_is_nobody(run):
    """A bank card in the slot would be enrolled under an error code."""
    assert run(Pcscd([at(1, PRESENT)], number=b"")) == [ONLINE]


def test_a_card_that_the_reader_cannot_wake_is_nobody(run):
    """A mute card would be asked without end."""
    pcscd = Pcscd([at(1, PRESENT | scard.SCARD_STATE_MUTE)])
    assert run(pcscd) == [ONLINE]
    assert pcscd.apdus == []


def test_a_machine_without_end_is_ended(run):
    """A card that always has more would hold the desk for ever."""
    pcscd = Pcscd([at(1, PRESENT)], said=(OK, b"\x91\xaf"))
    told = run(pcscd, challenge=lambda _: Machine([b"\x90"] * 500, Proved(number=b"x", proof=PROOF), Left()))
    assert told == [ONLINE, CardUnread(source="desk", why="card left")]
    assert len(pcscd.apdus) == 1 + 200


@pytest.mark.parametrize(
    "code,why,advice",
    [
        (scard.SCARD_E_NO_SERVICE, "no PC/SC service", "systemctl start pcscd"),
        (scard.SCARD_W_SECURITY_VIOLATION, "no permission", "polkit"),
        (scard.SCARD_F_INTERNAL_ERROR, "no PC/SC service", "code "),
    ],
)
def test_a_service_that_refuses_is_told_with_what_to_do(monkeypatch, told, code, why, advice):
    """Whoever sets up the desk would search for the reason."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", Pcscd([], opens=code))
    reader = PcscReader("desk", "ACR122U", told, told.wake)
    reader.start()
    assert told.next() == DeviceOffline(source="desk", why=why)
    assert advice in reader.trouble
    reader.stop()


def test_a_listener_that_raises_does_not_end_the_reader(monkeypatch, told):
    """One fault behind the desk would take its reader away in silence."""
    pcscd = Pcscd([at(0, EMPTY), at(1, PRESENT)])
    monkeypatch.setitem(sys.modules, "smartcard.scard", pcscd)

    def broken(event) -> None:
        raise ValueError(event)

    reader = PcscReader("desk", "ACR122U", broken, told.wake)
    reader.start()
    assert pcscd.is_done.wait(10)
    reader.stop()
    assert reader.lost_events == 2
