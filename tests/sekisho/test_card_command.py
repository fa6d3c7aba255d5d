"""`sekisho card` as an officer uses it at the enrolment desk, on a byte-paced port."""

from __future__ import annotations

import pytest

from sekisho.card_arguments import add_parsers
from simulators.cards import fakes
from simulators.cards.felica import FelicaLiteS
from simulators.cards.pkoc import PkocCard
from simulators.cards.site import blank_desfire, blank_ntag424
from tests.controller.conftest import SITE
from tests.sekisho.console_rig import CARDS, MASTERS, NEWER, RunningSite, desk, in_json, keyed_site, typed

OFFICER = ("--officer", "officer-01")
UID = bytes.fromhex("04A1B2C3D4E580")
IDM = bytes.fromhex("0139D1A2B3C4D5E6")


@pytest.fixture
def card(tmp_path, capsys):
    """Types a command with a card on the desk's reader."""

    def types(act, lies_there, *words, masters=MASTERS, lang="both"):
        site = tmp_path / "site.toml"
        if not site.exists():
            keyed_site(tmp_path, masters=masters)
        with desk(tmp_path, lies_there) as wire:
            return typed(
                capsys, add_parsers, "card", act, site, "--reader", wire.link, "--lang", lang, "--wait", "2", *words
            )

    return types


@pytest.mark.req("A-02", "B-28")
@pytest.mark.parametrize(
    ("scheme", "make"),
    [("desfire_ev2", lambda: blank_desfire(UID)), ("ntag424", lambda: blank_ntag424(UID))],
)
def test_a_blank_card_becomes_a_credential_and_its_number_stays_untold(card, scheme, make):
    """A site has cards with keys and nobody who can make one, or a number that a passer-by reads off the screen."""
    blank = make()
    status, told = in_json(card("issue", blank, "--scheme", scheme, "--json"))
    assert status == 0
    assert (told["outcome"], told["scheme"], told["last4"], told["key_version"]) == ("done", scheme, "E580", 1)
    assert told["to_enter"] == {"cardholder": None, "last4": "E580", "scheme": scheme, "state": "ISSUED"}
    status, told = in_json(card("look", blank, "--json"))
    assert (status, told["ours"], told["is_original"], told["is_blank"]) == (0, "genuine", True, False)
    status, out, err = card("issue", blank, "--scheme", scheme, lang="en")
    assert status == 1
    assert "issued here before" in err and "card rekey" in err
    status, out, err = card("issue", blank, "--scheme", scheme, "--again", "--print-number", "--cardholder", "h-01",
                            "--officer", "officer-01")  # fmt: skip
    assert status == 0
    assert "number = 04a1b2c3d4e580" in out and "cardholder = h-01" in out
    assert "カードを置いてください" in err


@pytest.mark.req("B-28")
def test_a_faked_blank_hears_no_key(card):
    """A made-up chip that says yes to everything collects the site's keys at the desk (complaint 12)."""
    fake = fakes.FakeBlank(UID)
    status, told = in_json(card("issue", fake, "--scheme", "desfire_ev2", "--json"))
    assert (status, told["outcome"]) == (1, "refused")
    assert told["why"] in {"wrong_type", "not_original"}
    assert told["do"]
    assert not any(command[1:2] in {b"\x71", b"\xaa", b"\x1a", b"\x0a", b"\xc4"} for command in fake.heard)
    status, _, err = card("issue", blank_desfire(UID, is_genuine=False), "--scheme", "desfire_ev2", lang="ja")
    assert status == 1
    assert "メーカーの署名がありません" in err


def test_keys_are_renewed_and_a_card_retired(card, tmp_path):
    """A key that leaked stays on the cards, or a card that came back goes on proving itself."""
    keyed_site(tmp_path, masters=NEWER)
    one = CARDS.desfire(UID)
    status, told = in_json(card("look", one, "--json"))
    assert told["key_versions"]["2"] == 1
    status, told = in_json(card("rekey", one, "--scheme", "desfire_ev2", "--json"))
    assert (status, told["key_version"]) == (0, 2)
    assert card("retire", one, "--scheme", "desfire_ev2")[0] == 2
    status, told = in_json(card("retire", one, "--scheme", "desfire_ev2", *OFFICER, "--json"))
    assert (status, told["state"]) == (0, "RETURNED")
    assert in_json(card("look", one, "--json"))[1]["ours"] == "no"


@pytest.mark.parametrize(
    ("scheme", "make", "chip", "state"),
    [
        ("ntag424", lambda: blank_ntag424(UID), "NTAG 424 DNA", "RETURNED"),
        ("felica_lite_s", lambda: FelicaLiteS(IDM), "FeliCa Lite-S", "DESTROYED"),
    ],
)
def test_a_whole_life_of_a_card(card, scheme, make, chip, state):
    """A card is made that cannot be renewed or taken back, or its credential ends in the wrong way."""
    one = make()
    assert in_json(card("look", one, "--json"))[1]["is_blank"] is True
    assert in_json(card("issue", one, "--scheme", scheme, "--json"))[1]["outcome"] == "done"
    assert in_json(card("rekey", one, "--scheme", scheme, "--json"))[1]["outcome"] == "done"
    _, told = in_json(card("look", one, "--json"))
    assert (told["chip"], told["ours"], told["is_blank"]) == (chip, "genuine", False)
    status, told = in_json(card("retire", one, "--scheme", scheme, *OFFICER, "--json"))
    assert (status, told["state"]) == (0, state)
    assert in_json(card("look", one, "--json"))[1]["ours"] != "genuine"


def test_a_card_that_was_retired_is_not_called_a_fake(card, tmp_path):
    """A card lies in the drawer of returned ones, and the desk says: a copy, keep it, call somebody."""
    socket, one = tmp_path / "link.sock", blank_ntag424(UID)
    with RunningSite(tmp_path, socket, SITE):
        to_h1 = (*OFFICER, "--socket", socket, "--cardholder", "h-01", "--json")
        assert in_json(card("issue", one, "--scheme", "ntag424", *to_h1))[0] == 0
        found, told = in_json(card("look", fakes.wrong_keys(UID), "--socket", socket, "--json"))
        assert (found, told["ours"]) == (1, "copy")
        assert card("retire", one, "--scheme", "ntag424", *OFFICER, "--socket", socket)[0] == 0
        found, told = in_json(card("look", one, "--socket", socket, "--json"))
        assert (found, told["ours"], told["state"]) == (0, "retired", "RETURNED")


def test_a_card_that_hides_its_number_and_a_key_of_its_own(card, tmp_path):
    """A card whose number nobody may see is registered under a number that is made up anew each time."""
    socket, hidden, own = tmp_path / "link.sock", blank_desfire(UID), PkocCard(b"own", uid=UID)
    with RunningSite(tmp_path, socket, SITE) as site:
        to_h1 = (*OFFICER, "--socket", socket, "--cardholder", "h-01", "--json")
        status, told = in_json(card("issue", hidden, "--scheme", "desfire_ev2", "--random-uid", *to_h1))
        assert (status, told["last4"]) == (0, "E580")
        status, told = in_json(card("look", hidden, "--socket", socket, "--json"))
        assert (told["ours"], told["is_number_random"], told["cardholder"]) == ("genuine", True, "h-01")
        status, told = in_json(card("issue", own, "--scheme", "pkoc", *to_h1))
        assert (status, told["key_version"], told["is_suggested"]) == (0, None, True)
        assert len(site.rows) == 2
        to_h2 = (*OFFICER, "--socket", socket, "--cardholder", "h-02", "--json")
        status, told = in_json(card("issue", own, "--scheme", "pkoc", *to_h2))
        assert (status, told["is_suggested"]) == (1, False)
        assert in_json(card("look", own, "--json"))[1]["ours"] == "own_key"
        alone = ("--scheme", "pkoc", "--socket", socket, "--print-number", "--json")
        assert "number" not in in_json(card("issue", own, *alone))[1]["to_enter"]
        assert card("issue", own, "--scheme", "pkoc", "--random-uid")[0] == 2


def test_an_interrupted_card_is_told_how_to_be_finished(card, monkeypatch):
    """Somebody presses Ctrl-C, sees nothing, and hands out a card that is half made."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sekisho.card_desk.Bench.run", stop)
    status, told = in_json(card("issue", blank_desfire(UID), "--scheme", "desfire_ev2", "--json"))
    assert (status, told["why"]) == (3, "stopped")
    assert "--again" in told["means"]


@pytest.mark.parametrize(
    ("make", "ours", "chip", "is_blank", "status"),
    [
        (lambda: CARDS.desfire(UID, is_uid_random=True), "genuine", "MIFARE DESFire EV2", False, 0),
        (lambda: CARDS.ntag424(UID), "genuine", "NTAG 424 DNA", False, 0),
        (lambda: CARDS.felica(IDM), "genuine", "FeliCa Lite-S", False, 0),
        (lambda: blank_desfire(UID, generation="ev3"), "no", "MIFARE DESFire EV3", True, 0),
        (lambda: blank_ntag424(UID), "no", "NTAG 424 DNA", True, 0),
        (lambda: fakes.wrong_keys(UID), "copy", "MIFARE DESFire EV2", False, 1),
    ],
    ids=["random uid", "ntag", "felica", "blank", "blank ntag", "copy"],
)
def test_a_card_is_told_for_what_it_is(card, make, ours, chip, is_blank, status):
    """An officer holds a card in his hand and cannot tell whose it is, or takes a copy for a genuine one."""
    found, told = in_json(card("look", make(), "--json"))
    assert (told["ours"], told["chip"], told["is_blank"]) == (ours, chip, is_blank)
    assert found == status


def test_looking_uses_no_key_on_a_foreign_card(card):
    """A card that somebody left on the desk hears what no stranger's card should (complaint 12)."""
    foreign = fakes.RecordingCard(blank_desfire(UID))
    assert card("look", foreign)[0] == 0
    sent = [command for command, _ in foreign.transcript]
    assert sent
    assert not any(
        command[1] in {0x71, 0x77, 0xAA, 0x1A, 0x0A, 0x3D, 0x8D, 0xC4, 0xCA} for command in sent if command[0] == 0x90
    )


def test_a_card_taken_away_too_soon_says_what_to_do(card):
    """A card is half made, and the officer is told nothing but that it failed."""
    status, _, err = card("issue", fakes.LeavingCard(blank_desfire(UID), 6), "--scheme", "desfire_ev2", lang="en")
    assert status == 1
    assert "too soon" in err and "--again" in err


def test_no_card_no_reader_and_no_key_are_told_apart(card, tmp_path, capsys):
    """The officer looks for a fault in the card where a cable is missing."""
    status, _, err = card("issue", None, "--scheme", "desfire_ev2", "--wait", "0.5")
    assert (status, "no card came" in err) == (1, True)
    status, _, err = card("issue", CARDS.felica(IDM), "--scheme", "desfire_ev2")
    assert (status, "not the kind" in err) == (1, True)
    told = typed(capsys, add_parsers, "card", "look", tmp_path / "site.toml", "--reader", "/dev/ttyNone")
    assert told[0] == 3
    assert "no port /dev/ttyNone" in told[2]
    told = typed(capsys, add_parsers, "card", "look", tmp_path / "none.toml", "--reader", "/dev/ttyNone")
    assert told[0] == 3
    issue = ("card", "issue", tmp_path / "site.toml", "--scheme", "pkoc", "--reader", "x", "--cardholder", "h-01")
    assert typed(capsys, add_parsers, *issue)[0] == 2


@pytest.mark.req("A-02")
def test_a_card_is_suggested_to_the_officers_of_the_running_controller(card, tmp_path):
    """A card is made and nobody can enter with it, or two people have the same number."""
    socket = tmp_path / "link.sock"
    blank = blank_desfire(UID)
    for_h1 = (
        "--scheme",
        "desfire_ev2",
        "--socket",
        socket,
        "--officer",
        "officer-01",
        "--cardholder",
        "h-01",
        "--json",
    )
    for_h2 = (*for_h1[:-3], "--cardholder", "h-02", "--json")
    with RunningSite(tmp_path / ".", socket, SITE) as site:
        status, told = in_json(card("issue", blank, *for_h1, "--active"))
        assert (status, told["is_suggested"], told["state"]) == (0, True, "ACTIVE")
        row = site.rows[told["credential"]]
        assert (row.cardholder, row.state, row.last4, row.scheme) == ("h-01", "ACTIVE", "E580", "desfire_ev2")
        assert (site.asked[-1].officer, site.asked[-1].reason) == ("officer-01", "joined")
        status, told = in_json(card("issue", blank, *for_h2, "--again"))
        assert (status, told["why"]) == (1, "other_cardholder")
        status, _, err = card("issue", blank, "--scheme", "desfire_ev2", "--socket", socket, "--officer", "o",
                              "--cardholder", "h-77")  # fmt: skip
        assert (status, "there is no cardholder h-77" in err) == (1, True)
        status, told = in_json(card("look", blank, "--socket", socket, "--json"))
        assert (told["cardholder"], told["state"]) == ("h-01", "ACTIVE")
        retire = ("--scheme", "desfire_ev2", "--socket", socket, "--officer", "officer-01", "--json")
        status, told = in_json(card("retire", blank, *retire))
        assert (status, told["state"], told["is_suggested"]) == (0, "RETURNED", True)
        assert {row.state for row in site.rows.values()} == {"RETURNED"}
