"""The burglar at the wires: what readers, cards and inputs say turned against the doors, through public faces only."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.words import DEVIATIONS
from controller.boot import deviations_of
from controller.config import SiteFileError, parse_site
from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.link.messages import DeviceOrder, Done, Refused
from controller.outputs import Outputs
from controller.turn import ShowAtReader, SwitchOff, TrustReader
from readers.events import (
    CardProof,
    CardRead,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    LineFault,
    OutputReported,
    PeopleCounted,
    ReaderDistrusted,
    ReaderIdentified,
)
from readers.protocols.osdp import pkoc
from readers.protocols.osdp.signals import signal
from tests.controller.conftest import SITE
from zones.portal import ReleaseStrike

OSDP_SITE = (
    SITE.replace(
        '[[device]]\nid = "rd-vault"\nkind = "mqtt"\n',
        '[[device]]\nid = "bus"\nkind = "osdp-bus"\nport = "/dev/ttyUSB1"\n'
        '[[device]]\nid = "rd-vault"\nkind = "osdp"\nbus = "bus"\naddress = 1\nkeypad = true\n',
    ).replace(
        '[[device]]\nid = "rd-vault-out"\nkind = "mqtt"\n',
        '[[device]]\nid = "rd-vault-out"\nkind = "osdp"\nbus = "bus"\naddress = 2\n',
    )
    + "\n[cards]\n"
)
CARD = bytes.fromhex("04a1b2c3d4e5f6")
READY = KeyView(commissioned=frozenset({"rd-vault", "rd-vault-out"}), identities={})


def proof(nonce: bytes, *, is_genuine: bool = True) -> CardProof:
    return CardProof(scheme="pkoc", is_genuine=is_genuine, nonce=nonce.ljust(16, b"."))


def has_key(site: Any, who: str) -> None:
    """The card of `who` proves itself."""
    answer = site.changes(("credential", {"id": f"c-{who}", "scheme": "pkoc"}))
    assert isinstance(answer, Done), answer


@pytest.fixture
def site(make_site: Any) -> Any:
    virtual = make_site(text=OSDP_SITE)
    virtual.admits("h-sato", CARD.hex(), "office", "vault")
    virtual.changes(("credential", {"id": "c-h-sato", "scheme": "pkoc"}))
    virtual.happens(KeysStored(job=KeyJob(act="pin"), view=READY))
    virtual.effects.clear()
    return virtual


def shows(site: Any, given: CardProof | None, reader: str, *, number: bytes = CARD, **more: Any) -> Any:
    site.happens(CardRead(source=reader, number=number, kind="iso14443a", proof=given, **more))
    return site.last


def told(site: Any, type_: str) -> list[dict[str, Any]]:
    return [body.detail or {} for body in site.records if body.type == type_]


# -- the way out as a way in ---------------------------------------------------------------------------------------


def goes_into_the_vault(site: Any) -> None:
    site.happens(CardRead(source="rd-office", number=CARD, kind="mqtt"))
    site.goes_through("dr-office")
    assert shows(site, proof(b"in"), "rd-vault").type == "ACCESS_GRANTED"
    site.goes_through("dr-vault")
    site.passes(10_000)
    site.effects.clear()


@pytest.mark.req("B-11", "B-22")
def test_a_read_that_lay_in_an_exit_reader_opens_nothing_when_the_line_is_back(site: Any) -> None:
    """A burglar cuts the line, waits until somebody tried to leave, mends it and walks in as the strike goes on."""
    site.happens(
        CardRead(source="rd-vault-out", number=CARD, kind="iso14443a", proof=proof(b"held"), is_held_back=True)
    )
    assert not site.releases and "EXIT_GRANTED" not in site.story()
    assert site.shown == ["not_read"], "whoever does stand there is told to show the card again"
    assert shows(site, proof(b"now"), "rd-vault-out").type == "EXIT_GRANTED" and site.releases


@pytest.mark.req("A-34", "B-06", "D-24")
@pytest.mark.parametrize("how", ["number alone", "wrong key", "replay", "opened reader"])
def test_nobody_is_led_out_by_a_copy_and_let_in_twice(site: Any, how: str) -> None:
    """An accomplice inside shows a copy on the way out, and the true card brings in a second person."""
    goes_into_the_vault(site)
    if how == "opened reader":
        site.signals("tamper", "rd-vault-out")
        site.signals("tamper", "rd-vault-out", is_active=False)
    given = {"number alone": None, "wrong key": proof(b"x", is_genuine=False), "replay": proof(b"in")}
    last = shows(site, given.get(how, proof(b"out")), "rd-vault-out")
    assert last.type == "EXIT_GRANTED" and site.releases, "the way out is free all the same"
    site.goes_through("dr-vault")
    assert site.engine.occupancy.certain_zone("h-sato") == "vault"
    site.passes(60_000)
    assert shows(site, proof(b"again"), "rd-vault").reason != "OK"
    codes = {"number alone": "copied", "wrong key": "copied", "replay": "replayed"}
    assert [one["code"] for one in told(site, "CREDENTIAL_ALARM")] == [codes[one] for one in (how,) if one in codes]


@pytest.mark.req("B-25", "A-35")
@pytest.mark.parametrize("rex", ["rd-office", "rd-vault:1"])
def test_no_rex_hangs_on_a_reader_outside(make_site: Any, rex: str) -> None:
    """The reader is unscrewed, two of its wires are touched together, and the door opens."""
    text = OSDP_SITE.replace("address = 1\n", "address = 1\ninput_count = 2\n")
    with pytest.raises(SiteFileError, match="the unsecure side"):
        make_site(text=text.replace(f'rex = "dr-{rex[3:].partition(":")[0]}"', f'rex = "{rex}"'))


@pytest.mark.req("B-25", "A-12", "D-24")
def test_rex_of_a_device_that_is_not_believed_frees_the_exit_and_is_an_alarm(site: Any) -> None:
    """Somebody inside is held by a tamper switch; or an opened device lets people in, and nobody hears of it."""
    goes_into_the_vault(site)
    site.signals("tamper", "dr-vault")
    site.presses_rex("dr-vault")
    assert site.releases
    assert site.story()[-2:] == ["REX", "REX_SUSPECT"]


# -- readers that are not believed ---------------------------------------------------------------------------------


@pytest.mark.req("A-12", "B-13")
def test_no_pin_is_asked_for_or_tried_at_a_reader_that_is_not_believed(make_site: Any) -> None:
    """Whoever opened the reader reads the PINs that are typed there, or misses everybody's until all are locked."""
    named = 'id = "rd-office"\nkind = "mqtt"\n'
    site = make_site(text=SITE.replace(named, named + "keypad = true\n"))
    site.admits("h-sato", "04a1b2c3", "office", "vault")
    site.proposes(("pin", {"id": "h-sato", "pin": "493817"}))
    site.proposes(("site_status", {"id": "site", "threat_level": 1}))
    site.effects.clear()
    site.badges("04a1b2c3", "rd-office")
    assert site.shown == ["enter_pin"]
    site.signals("tamper", "rd-office")
    for _ in range(6):
        site.types("111333", "rd-office")
        site.passes(11_000)
        site.badges("04a1b2c3", "rd-office")
    assert site.shown.count("enter_pin") == 1 and not site.releases
    assert "PIN_LOCKED" not in site.story() and site.last.reason == "READER_UNTRUSTED"


@pytest.mark.req("C-01", "A-34")
def test_a_copy_of_an_openers_card_secures_no_zone_in_his_name(site: Any) -> None:
    """A copy shuts a zone behind an opener's back, and the ledger says that it was he."""
    site.changes(("roster", {"id": "r-h-sato-vault", "is_opener": True}))
    site.happens(CardRead(source="rd-office", number=CARD, kind="mqtt"))
    site.goes_through("dr-office")
    assert shows(site, proof(b"1"), "rd-vault").type == "ACCESS_GRANTED"
    site.passes(1_500)
    shows(site, None, "rd-vault")
    assert "ZONE_SECURED" not in site.story() and site.last.reason == "CARD_AUTH_FAILED"


# -- who a reader is -----------------------------------------------------------------------------------------------


def says_who_it_is(site: Any, identity: str) -> None:
    said = ReaderIdentified(source="rd-vault", identity=identity, maker="m", model="o", serial="s", firmware="f")
    site.happens(said)


@pytest.mark.req("B-20")
@pytest.mark.parametrize("is_first", [True, False], ids=["the first reader", "a new one in its place"])
def test_the_reader_that_took_its_key_is_the_one_that_is_remembered(site: Any, is_first: bool) -> None:
    """After a change of readers the old one is remembered: the first restart calls the new one a burglar's."""
    old, new = "ab" * 32, "cd" * 32
    view = KeyView() if is_first else KeyView(commissioned=READY.commissioned, identities={"rd-vault": old})
    site.happens(KeysStored(job=KeyJob(act="pin"), view=view))
    if not is_first:
        says_who_it_is(site, old)
    assert isinstance(gives(site, "install_on"), Done)
    job = next(one for one in site.effects if isinstance(one, KeyJob))
    site.happens(KeysStored(job=job, view=view, key=bytes(range(40, 56))))
    site.effects.clear()
    site.happens(InstallEnded(source="rd-vault", is_done=True))
    says_who_it_is(site, new)
    jobs = [(one.act, one.identity) for one in site.effects if isinstance(one, KeyJob)]
    assert jobs == [("confirm", None), ("pin", new)]


def gives(site: Any, act: str) -> Any:
    site.ids += 1
    return site.asks(
        DeviceOrder(
            id=f"order-{site.ids:06}",
            boot=site.boot,
            not_after_ms=site.now_ms + 3_000,
            act=act,
            device="rd-vault",
            officer="officer-01",
            second="officer-02",
        )
    )


@pytest.mark.req("A-09", "B-18")
@pytest.mark.parametrize("second", ["renew_key", "install_on"])
def test_a_reader_is_given_one_key_at_a_time(site: Any, second: str) -> None:
    """Two orders at once, and the store believes in a key that the reader never took: the door is dead for good."""
    site.happens(DeviceOnline(source="rd-vault"))
    assert isinstance(gives(site, "renew_key"), Done)
    job = next(one for one in site.effects if isinstance(one, KeyJob))
    refused = gives(site, second)
    assert isinstance(refused, Refused) and refused.code == "busy"
    site.happens(KeysStored(job=job, view=READY, key=bytes(range(40, 56))))
    refused = gives(site, second)
    assert isinstance(refused, Refused) and refused.code == "busy"
    site.happens(KeyRenewed(source="rd-vault", is_done=True))
    assert isinstance(gives(site, second), Done)
    if second == "install_on":
        refused = gives(site, "renew_key")
        assert isinstance(refused, Refused) and refused.code == "busy"


@pytest.mark.req("B-20", "A-12")
def test_an_approval_is_not_for_whoever_was_put_there_meanwhile(site: Any) -> None:
    """Two people approve the reader that they looked at; while the disk works, a burglar puts up his own."""
    says_who_it_is(site, "ab" * 32)
    site.happens(ReaderDistrusted(source="rd-vault", why="macs_failed"))
    site.effects.clear()
    site.is_stalled = True
    row = {"id": "rd-vault", "is_trusted": True, "restored_by": "officer-01", "confirmed_by": "officer-02"}
    site.proposes(("device_status", row))
    says_who_it_is(site, "cd" * 32)
    site.happens(ReaderDistrusted(source="rd-vault", why="replaced"))
    site.is_stalled = False
    site.settles()
    site.happens()
    assert not any(isinstance(one, TrustReader) for one in site.effects)
    assert ("pin", "cd" * 32) not in [(one.act, one.identity) for one in site.effects if isinstance(one, KeyJob)]
    assert shows(site, proof(b"new"), "rd-vault").reason == "READER_UNTRUSTED"
    assert site.engine.policy.policy.device_statuses["rd-vault"].is_trusted is False


# -- the readers that bring evidence -------------------------------------------------------------------------------


@pytest.mark.req("B-22", "A-34")
def test_an_answer_from_before_a_restart_is_worth_nothing_after_it() -> None:
    """Answered challenges are remembered in memory alone: somebody who has one pulls the plug and plays it."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    challenges = [b"yesterday's one.", b"the one of today"]
    der = key.sign(challenges[0], ec.ECDSA(SHA256()))
    signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))
    answer = b"\x5a\x41" + point + b"\x9e\x40" + signature
    yesterday, today = (pkoc.judge(answer, challenge) for challenge in challenges)
    assert yesterday is not None and yesterday.is_genuine
    assert today is not None and not today.is_genuine
    naming = pkoc.judge(answer + b"\x4c\x10" + challenges[0], challenges[1])
    assert naming is not None and not naming.is_genuine, "a card that names its own challenge answers none of ours"


# -- one set of numbers for all kinds of cards ---------------------------------------------------------------------


@pytest.mark.req("A-34", "A-02")
@pytest.mark.parametrize("kind", ["iso14443a", "felica", "mqtt", "osdp"])
def test_a_number_of_another_kind_of_card_is_a_number_and_no_proof(site: Any, kind: Any) -> None:
    """An emulator sends the bytes of a public key, or of a FeliCa, as its UID, and is taken for that card."""
    public = bytes(range(32))
    site.admits("h-suzuki", public.hex(), "office", "vault")
    site.changes(("credential", {"id": "c-h-suzuki", "scheme": "pkoc"}))
    site.happens(CardRead(source="rd-vault", number=public, kind=kind))
    assert site.last.reason == "CARD_AUTH_FAILED" and site.last.subject.cardholder == "h-suzuki"
    assert site.last.evidence.factors == 0 and not site.releases


@pytest.mark.req("A-34", "B-28")
@pytest.mark.parametrize("scheme", ["ntag424", "felica_lite_s", "desfire_ev1", "aliro"])
def test_a_proof_of_another_kind_of_card_is_no_proof(site: Any, scheme: Any) -> None:
    """The keys of the weakest kind of card become known, and stand in for every card of the site."""
    given = CardProof(scheme=scheme, is_genuine=True, nonce=bytes(16), key_version=1)
    assert shows(site, given, "rd-vault").reason == "CARD_AUTH_FAILED" and not site.releases
    assert told(site, "CREDENTIAL_ALARM") == [{"code": "copied"}]


# -- what is released, and by whom ---------------------------------------------------------------------------------


@pytest.mark.req("B-26", "B-27")
def test_a_strike_that_somebody_else_switched_on_is_an_alarm_and_off_again(site: Any) -> None:
    """Whoever is on the plain line of the relays, or has the broker's password, opens the door and leaves no trace."""
    for _ in range(5):
        site.happens(OutputReported(source="board", channel=1, is_on=True))
        site.happens(OutputReported(source="board", channel=1, is_on=False))
        site.passes(1_000)
    assert SwitchOff(device="board", channel=1) in site.effects
    assert told(site, "OUTPUT_FAILED") == [{"device": "board", "why": "on without a release"}]
    site.passes(10_000)
    site.presses_rex("dr-vault")
    site.happens(OutputReported(source="board", channel=1, is_on=True))
    site.passes(3_000)
    site.happens(OutputReported(source="board", channel=1, is_on=False))
    site.passes(10_000)
    assert len(told(site, "OUTPUT_FAILED")) == 1, "our own release alarms nobody"


# -- refusals all look alike (P5) ----------------------------------------------------------------------------------

STRANGE = bytes.fromhex("04ffffffffffff")


def refused_in_every_way(site: Any) -> dict[str, list[Any]]:
    """What goes out for each refusal about whoever stands there."""
    ways: dict[str, tuple[bytes, CardProof | None]] = {
        "unknown number": (STRANGE, None),
        "unknown and genuine": (STRANGE, proof(b"a")),
        "unknown and false": (STRANGE, proof(b"b", is_genuine=False)),
        "copied number": (CARD, None),
        "copied card": (CARD, proof(b"c", is_genuine=False)),
        "not on the roster": (CARD, proof(b"d")),
    }
    out: dict[str, list[Any]] = {}
    for way, (number, given) in ways.items():
        site.passes(30_000)
        site.effects.clear()
        last = shows(site, given, "rd-vault", number=number)
        assert last.type == "ACCESS_DENIED", way
        out[way] = site.unnumbered(list(site.effects))
    return out


@pytest.mark.req("E-04", "A-34")
def test_every_refusal_is_the_same_bytes_at_an_osdp_reader(site: Any) -> None:
    """Whoever stands beside the reader learns that the card is known, was lost, or that its holder lost a right."""
    site.changes(("roster", {"id": "r-h-sato-vault", "is_suspended": True}))
    ways = refused_in_every_way(site)
    for state in ("LOST", "RETURNED"):
        site.changes(("credential", {"id": "c-h-sato", "state": state}))
        ways |= {f"{state} {way}": out for way, out in refused_in_every_way(site).items()}
    seen = {repr(out) for out in ways.values()}
    assert len(seen) == 1, ways
    shown = [effect for effect in ways["unknown number"] if isinstance(effect, ShowAtReader)]
    assert [effect.shown.value for effect in shown] == ["refused"]
    sent = {repr([(one.code, one.body) for one in signal(effect.shown.value)]) for effect in shown}
    assert len(sent) == 1 and "····" not in sent.pop(), "an OSDP reader is told no number"


@pytest.mark.req("B-22", "B-26", "B-27")
def test_what_bought_devices_lack_is_said_at_every_start() -> None:
    """A late message opens, or a strike stays on after everything died, and no book says that it could."""
    bought = 'kind = "mqtt"\nprofile = "generic"\n'
    text = SITE
    for device in ("rd-office", "dr-office"):
        text = text.replace(f'id = "{device}"\nkind = "mqtt"\n', f'id = "{device}"\n{bought}')
    found = deviations_of(parse_site(text, Path("site.toml")))
    assert [one for one in found if one[0] in ("device_unnumbered", "strike_without_timer")] == [
        ("device_unnumbered", "rd-office"),
        ("device_unnumbered", "dr-office"),
        ("strike_without_timer", "dr-office"),
    ]
    assert {code for code, _ in found} <= DEVIATIONS.keys(), "officers read it in words"


@pytest.mark.req("B-11", "D-24")
@pytest.mark.parametrize("kind", ["an output that nobody knows", "pins that could not be had"])
def test_an_output_that_is_not_there_stops_no_controller(site: Any, kind: str) -> None:
    """A reader says that its own relay is on, or somebody leaves by a strike without pins, and all doors are dead."""
    outputs = Outputs(
        wiring=site.file.wiring,
        relays={},
        buses={},
        mqtt=None,
        shows=None,
        displays=frozenset(),
        boot=site.boot,
        skew_ms=lambda _device, _now: 0,
    )
    site.effects.clear()
    if kind.startswith("pins"):
        site.presses_rex("dr-vault")
    else:
        site.happens(*(OutputReported(source="rd-vault", channel=n, is_on=True) for n in range(1, 255)))
        site.passes(10_000)
        assert not site.effects and not told(site, "OUTPUT_FAILED"), "254 lamps of a stranger fill no disk"
        site.effects.append(SwitchOff(device="rd-vault", channel=1))
    orders = [one for one in site.effects if isinstance(one, SwitchOff | ReleaseStrike)]
    assert orders
    assert {outputs.perform(one, site.now()) for one in orders} == {"has no relays here"}


# -- everything at once --------------------------------------------------------------------------------------------

DEVICES = ("rd-office", "rd-vault", "rd-vault-out", "dr-office", "dr-vault", "board", "bus", "nobody")


def hostile(dice: random.Random, used: bytes, *, is_quiet: bool) -> Any:
    """One thing that somebody without a card, a key or a place inside can make a wire say. `is_quiet`: nothing that
    makes a reader or a portal be trusted no more.
    """
    source, flag = dice.choice(DEVICES), dice.random() < 0.5
    outside = dice.choice(("rd-office", "rd-vault", "nobody"))
    at_vault: dict[str, Any] = {"source": "rd-vault", "number": CARD, "kind": "osdp"}
    line = dice.choice(("contact", "tamper", "power", "fire", "door"))
    who = ReaderIdentified(source=source, identity=dice.randbytes(4).hex(), maker="", model="", serial="", firmware="")
    quiet: tuple[Any, ...] = (
        CardRead(**at_vault),
        CardRead(**at_vault, proof=proof(dice.randbytes(9), is_genuine=False)),
        CardRead(**at_vault, proof=proof(used)),
        CardRead(**at_vault, proof=proof(dice.randbytes(9)), is_held_back=True),
        CardRead(source=outside, number=dice.randbytes(dice.choice((4, 7, 8, 32))), kind="osdp"),
        CardRead(source="rd-vault-out", number=CARD, kind="osdp", is_held_back=True),
        KeysEntered(source=source, digits="493817", is_held_back=flag),
        InputChanged(source=source, line="rex", is_active=True, is_level_report=True),
        OutputReported(source=source, channel=dice.choice((None, 1, 2)), is_on=flag),
        dice.choice((InstallEnded(source=source, is_done=flag), KeyRenewed(source=source, is_done=flag))),
        PeopleCounted(source=source, count=dice.randint(1, 9)),
        who,
    )
    loud: tuple[Any, ...] = (
        InputChanged(source=source, line=line, is_active=flag, is_level_report=dice.random() < 0.5),
        LineFault(source=source, line=dice.choice(("contact", "rex")), fault="cut", is_level_report=flag),
        dice.choice((DeviceOnline(source=source), DeviceOffline(source=source, why="line lost"))),
        ReaderDistrusted(source=source, why="replaced"),
    )
    return dice.choice(quiet if is_quiet else quiet + loud)


@pytest.mark.req("A-35", "B-11", "S-03")
@pytest.mark.parametrize("is_quiet", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_wires_say_nothing_opens_without_a_card_that_proves_itself(
    site: Any, seed: int, is_quiet: bool
) -> None:
    """Two harmless things, one after the other, come to a way in that nobody thought of."""
    dice = random.Random(seed)
    assert shows(site, proof(b"once"), "rd-vault", is_held_back=True).reason == "READ_STALE"
    site.effects.clear()
    for _ in range(150):
        site.happens(*(hostile(dice, b"once", is_quiet=is_quiet) for _ in range(dice.randint(1, 4))))
        site.passes(dice.choice((1, 50, 400, 1_100, 11_000)))
    assert not site.releases
    assert "RULE_ERROR" not in site.story()
    assert all(body.outcome != "GRANTED" for body in site.records)
    if is_quiet:
        site.passes(30_000)
        assert shows(site, proof(b"true"), "rd-vault").type == "ACCESS_GRANTED", "and it held nobody out"


@pytest.mark.req("A-09", "B-12")
@pytest.mark.parametrize("is_done", [True, False])
def test_a_key_that_was_ordered_before_a_restart_is_settled_after_it(site: Any, is_done: bool) -> None:
    """The reader took its key as the power went; the store believes in the old one, for ever."""
    site.happens(KeyRenewed(source="rd-vault", is_done=is_done))
    jobs = [(one.act, one.reader) for one in site.effects if isinstance(one, KeyJob)]
    assert jobs == [("confirm" if is_done else "withdraw", "rd-vault")]
