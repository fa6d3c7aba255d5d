"""readers/transports/pcsc.py: the real pcscd with vsmartcard's virtual reader, and what needs neither."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys

import pytest

from readers.cards.challenge import Challenger
from readers.cards.session import ISO_DEP, CardTarget, Left, NotOurs, Proved
from readers.errors import MissingDriver
from readers.events import CardProof, CardRead, CardUnread, DeviceOffline, DeviceOnline
from readers.transports import pcsc
from readers.transports.pcsc import PcscReader, target_of
from simulators.cards import TypeACard, card_of, fakes, site
from simulators.cards.pkoc import PkocCard
from simulators.vpcd import DeskReader
from tests.readers.cards.peers import READER_ID, Dice
from tests.readers.cards.test_with_simulated_cards import SCHEMES, SITE, Keys
from tests.readers.pn532_bench import Machine
from tests.simulators.pcsc import running_pcscd

NAME = "desk reader 00 00"
UID = bytes.fromhex("04112233445566")
OTHER = bytes.fromhex("04998877665544")
ONLINE = DeviceOnline(source="desk")
READ = CardRead(source="desk", number=UID, kind="iso14443a")
PROOF = CardProof(scheme="pkoc", is_genuine=True, nonce=bytes(16))
PROVED = Proved(number=b"real", proof=PROOF)
SELECT = bytes.fromhex("00A4040000")

real = [pytest.mark.system, pytest.mark.needs("pcscd", "peers")]


def on_the_wire(test):
    for mark in real:
        test = mark(test)
    return test


@pytest.fixture
def service(tmp_path):
    """Start and stop pcscd; hands back the desk on which cards are laid."""
    with contextlib.ExitStack() as stack:

        class Service:
            def start(self) -> DeskReader:
                self._running = contextlib.ExitStack()
                stack.push(self._running)
                desk = DeskReader(self._running.enter_context(running_pcscd(tmp_path)))
                self._running.callback(desk.take)
                return desk

            def stop(self) -> None:
                self._running.close()

        yield Service()


@pytest.fixture
def reader_of(told):
    made = []

    def make(name: str = NAME, **options: object) -> PcscReader:
        made.append(PcscReader("desk", name, told, told.wake, **options))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(5)


def quiet(told, for_s: float = 0.4) -> None:
    with pytest.raises(queue.Empty):
        told.next(within_s=for_s)


def take_from(desk: DeskReader, told) -> None:
    """Take the card away, and give pcscd its 400 ms to notice: a card laid down sooner is the old one to it."""
    desk.take()
    quiet(told, 0.45)


@on_the_wire
def test_a_card_is_read_once_a_presentation_and_proved_once(service, reader_of, told):
    """A card lying on the desk would be enrolled again and again, or never."""
    desk = service.start()
    outcomes = []
    machines = [None, Machine([SELECT, SELECT], PROVED, Left()), Machine([SELECT], NotOurs(), Left())]

    def challenge(target: CardTarget) -> Machine | None:
        assert target == CardTarget(kind="iso14443a", number=target.number, sak=ISO_DEP)
        return machines.pop(0)

    reader_of(challenge=challenge, on_outcome=lambda target, outcome: outcomes.append((target.number, outcome)))
    assert told.next() == ONLINE
    desk.place(card_of("iso14443a", UID))
    assert told.next() == READ
    quiet(told)
    take_from(desk, told)
    desk.place(card_of("iso14443a", OTHER))
    assert told.next() == CardRead(source="desk", number=b"real", kind="iso14443a", proof=PROOF)
    take_from(desk, told)
    desk.place(card_of("iso14443a", OTHER))
    assert told.next() == CardRead(source="desk", number=OTHER, kind="iso14443a")
    assert outcomes == [(OTHER, PROVED), (OTHER, NotOurs())]


@on_the_wire
@pytest.mark.req("A-34", "B-28")
def test_the_cards_of_a_site_prove_themselves_at_the_desk_and_a_copy_does_not(service, reader_of, told):
    """A card that opens at the wall could not be checked where it is made."""
    desk = service.start()
    challenger = Challenger(Keys(), Dice(3), SCHEMES, site.AID, READER_ID)
    reader_of(challenge=challenger.session)
    assert told.next() == ONLINE
    cards = [SITE.desfire(UID), PkocCard(b"a card", uid=UID), fakes.wrong_keys(UID)]
    proofs = []
    for card in cards:
        desk.place(card)
        read = told.next()
        assert isinstance(read, CardRead), read
        proofs.append((read.proof.scheme, read.proof.is_genuine))
        take_from(desk, told)
    assert proofs == [("desfire_ev2", True), ("pkoc", True), ("desfire_ev2", False)]


@on_the_wire
def test_a_card_taken_away_in_the_middle_is_unread(service, reader_of, told):
    """A card drawn away too soon would be a proof, or an enrolment without a card."""
    desk = service.start()

    class Snatched(TypeACard):
        def exchange(self, command: bytes) -> bytes | None:
            taken = desk._socket
            assert taken is not None
            taken.close()
            return None

    card = Snatched(uid=UID, atqa=b"\x03\x44", sak=0x20, ats=bytes.fromhex("067577810280"))
    outcomes = []
    reader_of(
        challenge=lambda _: Machine([SELECT, SELECT], PROVED, "torn"),
        on_outcome=lambda target, outcome: outcomes.append(outcome),
    )
    assert told.next() == ONLINE
    desk.place(card)
    while not outcomes:
        assert not told.drained()
        told.woken.wait(0.01)
    assert outcomes[0] == "torn"
    assert not any(isinstance(event, CardRead) for event in told.drained())


@on_the_wire
@pytest.mark.req("B-11")
def test_a_service_that_stops_and_comes_back_reads_no_card_that_lay_there(service, reader_of, told):
    """A restart of pcscd would take the desk away for good, or enrol the card that lies on it."""
    reader = reader_of()
    assert told.next() == DeviceOffline(source="desk", why="no PC/SC service")
    assert "systemctl start pcscd" in reader.trouble
    desk = service.start()
    assert told.next() == ONLINE
    assert reader.trouble == ""
    desk.place(card_of("iso14443a", UID))
    assert told.next() == READ
    service.stop()
    assert isinstance(told.next(), DeviceOffline)
    desk = service.start()
    desk.place(card_of("iso14443a", UID))
    assert told.next() == ONLINE
    quiet(told, 1.0)
    take_from(desk, told)
    desk.place(card_of("iso14443a", OTHER))
    assert told.next() == CardRead(source="desk", number=OTHER, kind="iso14443a")


@on_the_wire
def test_a_card_that_another_program_holds_is_told_with_what_to_do(service, reader_of, told):
    """Whoever sits at the desk would wait for a reader that somebody's browser holds."""
    from smartcard import scard

    desk = service.start()
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    desk.place(card_of("iso14443a", UID))
    (name,) = [one for one in scard.SCardListReaders(context, [])[1] if NAME in one]
    code, held = scard.SCARD_E_NO_SMARTCARD, None
    while code in (scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_UNPOWERED_CARD):
        code, held, _ = scard.SCardConnect(context, name, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T1)
    assert code == scard.SCARD_S_SUCCESS
    reader = reader_of()
    assert told.next() == ONLINE
    assert told.next() == CardUnread(source="desk", why="in use")
    assert "another program" in reader.trouble
    scard.SCardDisconnect(held, scard.SCARD_LEAVE_CARD)
    scard.SCardReleaseContext(context)
    assert told.next() == READ
    assert reader.trouble == ""


@on_the_wire
@pytest.mark.parametrize("name,why", [("ACR122", "no such reader"), ("Virtual", "several such readers")])
def test_a_name_that_fits_not_one_reader_is_told_with_the_names(service, reader_of, told, name, why):
    """A second reader beside the desk would enrol cards for the first."""
    service.start()
    reader = reader_of(name)
    assert told.next() == DeviceOffline(source="desk", why=why)
    assert "'Virtual desk reader 00 00'" in reader.trouble
    quiet(told)


@pytest.mark.parametrize(
    "atr,kind,is_iso_dep",
    [
        ("3B8180018080", "iso14443a", True),  # DESFire
        ("3B8F8001804F0CA000000306030001000000006A", "iso14443a", False),  # MIFARE Classic 1K
        ("3B8F8001804F0CA0000003060300030000000068", "iso14443a", False),  # Ultralight
        ("3B8F8001804F0CA00000030611003B0000000042", "felica", False),  # PC/SC part 3
        ("3B8F8001804F0CA00000030603F011000000008A", "felica", False),  # ACR122U, 212 kbit/s
    ],
)
def test_a_card_is_known_by_its_atr(atr, kind, is_iso_dep):
    """A transit card would be asked for a DESFire application, and a DESFire card for nothing."""
    target = target_of(bytes.fromhex(atr), UID)
    assert (target.kind, target.is_iso_dep, target.number) == (kind, is_iso_dep, UID)


def test_nothing_of_pcsc_is_loaded_before_a_reader_is_started():
    """The controller would not start where pyscard is not installed, although no reader needs it."""
    code = "import sys, readers.transports.pcsc; sys.exit('smartcard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_driver_names_the_packages(monkeypatch):
    """Whoever installs the desk would have to search for the reason."""
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.delitem(sys.modules, "smartcard.scard", raising=False)
    with pytest.raises(MissingDriver, match=r"apt install pcscd.*python3-pyscard.*swig libpcsclite-dev"):
        PcscReader("desk", NAME, print, print).start()


def test_a_reader_without_a_name_is_refused():
    """An empty line in the site file would take whatever reader comes first."""
    with pytest.raises(ValueError, match="pcsc_scan"):
        PcscReader("desk", "", print, print)


@pytest.mark.needs("peers")
def test_every_advice_names_a_code_of_pcsc():
    """A message would never be shown because its code does not exist."""
    from smartcard import scard

    assert all(hasattr(scard, name) for name in (*pcsc._ADVICE, *pcsc._CARD_WENT))
