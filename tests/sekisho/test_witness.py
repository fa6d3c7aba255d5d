"""A witness signs what grows out of what it signed before, and nothing else; what it refuses it names and keeps."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.ledger.checkpoint import Notary, SigningKey
from controller.link.notes import (
    COSIGNATURE,
    ED25519,
    NoteError,
    Vkey,
    cosign,
    cosigned_at,
    parse_checkpoint,
    parse_signature,
)
from sekisho.witness_folder import OF_STRANGERS_MAX, Folder, FolderRefused
from sekisho.witness_http import WitnessServer
from sekisho.witness_judge import Refused, parse_add, parse_rotation, request_body
from tests.controller.ledger.conftest import ORIGIN
from tests.sekisho.witness_rig import NOON_MS, OTHER_KEY, SEED, VKEY, Desk, History, code_of

PUBLIC_NOTE = """coachandhorses2026h1.staging.certificate.transparency.goog
185550722
YXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=

— coachandhorses2026h1.staging.certificate.transparency.goog MpXgsHy8ZwxXnO+WjtVrPxAzL49Rs1gWTkNVNeEa//5peAzaocRCB3qt3EaibjzY5GILLtGgBP7dBhgcSHy+JQh0OAc=
— witness.navigli.sunlight.geomys.org o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==
"""  # noqa: E501 - a note is one line a signature
PUBLIC_WITNESS = "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G"


@pytest.fixture
def history(tmp_path):
    with contextlib.closing(History(tmp_path / "site")) as made:
        yield made.grows(5)


@pytest.fixture
def desk(tmp_path):
    with contextlib.closing(Desk(tmp_path / "witness")) as made:
        yield made


# -- the format -------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
def test_a_cosignature_of_a_public_witness_verifies():
    """Nobody else's witness could vouch for us, nor ours for others: our format would be ours alone."""
    checkpoint = parse_checkpoint(PUBLIC_NOTE)
    vkey = Vkey.parse(PUBLIC_WITNESS, COSIGNATURE)
    assert vkey.text == PUBLIC_WITNESS
    assert (checkpoint.size, cosigned_at(checkpoint, vkey, checkpoint.signatures[1])) == (185550722, 1785704691)
    assert checkpoint.note == PUBLIC_NOTE
    for changed in (PUBLIC_NOTE.replace("185550722", "185550723"), PUBLIC_NOTE.replace("ABqb7Dz", "ABqb7D0")):
        other = parse_checkpoint(changed)
        with pytest.raises(NoteError, match="is bad"):
            cosigned_at(other, vkey, other.signatures[1])


def test_what_is_cosigned_can_be_checked_by_the_same_rules():
    """A witness's line would be worth nothing to whoever asks for it."""
    checkpoint = parse_checkpoint(PUBLIC_NOTE)
    key = SigningKey.from_seed(SEED)
    vkey = Vkey(name="witness.example/north", algorithm=COSIGNATURE, public=key.public)
    line = cosign(checkpoint, vkey, key.sign, 1_795_000_000)
    assert cosigned_at(checkpoint, vkey, parse_signature(line)) == 1_795_000_000
    with pytest.raises(NoteError, match="not of"):
        cosigned_at(checkpoint, Vkey.parse(PUBLIC_WITNESS, COSIGNATURE), parse_signature(line))


@pytest.mark.parametrize(
    "changed",
    [
        "",
        "\n\n",
        PUBLIC_NOTE[:-1],
        PUBLIC_NOTE.replace("\n\n", "\n"),
        PUBLIC_NOTE.replace("\n185550722", "\n0185550722"),
        PUBLIC_NOTE.replace("\n185550722", "\n-1"),
        PUBLIC_NOTE.replace("\n185550722", "\n9999999999999999999"),
        PUBLIC_NOTE.replace("185550722", "١٨٥"),
        PUBLIC_NOTE.replace("kng=", "knh="),
        PUBLIC_NOTE.replace("kng=", "kng"),
        PUBLIC_NOTE.replace("YXAM", ""),
        PUBLIC_NOTE.replace("— coach", "- coach"),
        PUBLIC_NOTE.replace("— coach", "—  coach"),
        PUBLIC_NOTE.replace("coach", "coach\r"),
        PUBLIC_NOTE + "— x\n",
        PUBLIC_NOTE + "— x AAAA\n",
        "\ud800" + PUBLIC_NOTE,
        PUBLIC_NOTE + "— x AAAAAAAA\n" * 64,
        PUBLIC_NOTE.replace("\n185550722", "x" * 20000 + "\n185550722"),
    ],
)
def test_a_note_that_could_be_read_in_two_ways_is_refused(changed):
    """Two programs would see two histories in one checkpoint."""
    with pytest.raises(NoteError):
        parse_checkpoint(changed)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "no vkey|base64"),
        ("witness.example", "no vkey|base64"),
        (PUBLIC_WITNESS.replace("a3e00fe2", "a3e00fe3"), "changed in copying"),
        (PUBLIC_WITNESS.replace("navigli", "naviglio"), "changed in copying"),
        (PUBLIC_WITNESS[:-4], "no vkey"),
        (VKEY, "a ledger's key, and a witness's"),
    ],
)
def test_a_vkey_that_was_changed_in_copying_is_refused(text, why):
    """A site would trust a key that nobody has, and never know that it has no witness."""
    with pytest.raises(NoteError, match=why):
        Vkey.parse(text, COSIGNATURE)


# -- what it signs ----------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
def test_a_history_that_grows_is_signed_again_and_again(history, desk):
    """An honest site would have no witness."""
    vkey = desk.folder.vkey
    known = 0
    for count in (0, 1, 2, 7, 60):
        history.grows(count)
        line = desk.signs(history.asks(known))
        assert cosigned_at(parse_checkpoint(history.note()), vkey, parse_signature(line)) == NOON_MS // 1000
        known = history.size
        assert desk.restarts().size == known, "what was signed is on the disk"
    assert desk.told == []


def test_the_same_checkpoint_is_signed_again(history, desk):
    """An answer that was lost on the way could never be had again."""
    first = desk.signs(history.asks(0))
    desk.now_ms += 5_000
    again = desk.signs(history.asks(5))
    assert first != again
    assert desk.size == 5


@pytest.mark.parametrize(
    "case, expected",
    [
        ("the proof is from another size", (409, "behind")),
        ("the old size is beyond the new one", (400, "malformed")),
        ("the proof is empty", (422, "not_consistent")),
        ("the proof has one hash too many", (422, "not_consistent")),
        ("an older checkpoint", (409, "rollback")),
        ("another origin", (404, "unknown_key")),
        ("another key", (403, "unknown_key")),
        ("no signature of the ledger's", (403, "unknown_key")),
        ("a signature of the other tree", (403, "bad_signature")),
        ("a good signature and a bad one of the same key", (403, "bad_signature")),
    ],
)
def test_what_is_refused_is_named_by_the_specification(history, desk, case, expected):
    """Another log's client, or ours, could not tell a fork from its own lateness."""
    desk.signs(history.asks(0))
    history.grows(4)
    good, last, head = history.asks(5), history.note(), history.note().partition("\n\n")[0]
    stranger = Notary(origin=ORIGIN, key=OTHER_KEY).checkpoint(9, history.ledger.root).decode()
    elsewhere = Notary(origin="sekisho.example/gate-2", key=OTHER_KEY).checkpoint(9, history.ledger.root).decode()
    lines = good.decode().partition("\n\n")[0].split("\n")
    others = history.note(8).partition("\n\n")[2]
    request = {
        "the proof is from another size": history.asks(3),
        "the old size is beyond the new one": request_body(10, [], last),
        "the proof is empty": request_body(5, [], last),
        "the proof has one hash too many": request_body(5, [*lines[1:], lines[1]], last),
        "an older checkpoint": request_body(4, [], history.note(4)),
        "another origin": request_body(5, lines[1:], elsewhere),
        "another key": request_body(5, lines[1:], stranger),
        "no signature of the ledger's": request_body(5, lines[1:], f"{head}\n\n— somebody AAAAAAAA\n"),
        "a signature of the other tree": request_body(5, lines[1:], f"{head}\n\n{others}"),
        "a good signature and a bad one of the same key": request_body(5, lines[1:], last + others),
    }[case]
    reply = desk.witness.add_checkpoint(request)
    assert code_of(reply) == expected
    if reply.status == 409:
        assert (reply.content_type, reply.body) == ("text/x.tlog.size", "5\n")
    assert desk.size == 5, "nothing that was refused is remembered as signed"
    assert bool(desk.evidence) == bool(desk.told) == (expected[1] not in ("behind", "malformed"))
    desk.signs(good)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff\xfe",
        b"old 5",
        b"old 05\n\nx",
        b"new 5\n\n" + PUBLIC_NOTE.encode(),
        b"old -1\n\n" + PUBLIC_NOTE.encode(),
        b"old 5\nnot base64\n\n" + PUBLIC_NOTE.encode(),
        b"old 5\n" + b"AAAA\n" * 64 + b"\n" + PUBLIC_NOTE.encode(),
        b"old 5\r\n\r\n" + PUBLIC_NOTE.encode(),
    ],
)
def test_a_request_that_is_none_is_refused_and_nothing_else(desk, octets):
    """A stranger's bytes would stop the witness, or fill its disk with evidence."""
    assert desk.refuses(octets) == (400, "malformed")
    assert desk.evidence == []


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"old 0\n\n\n\n\n\n")
@example(b"[" * 300)
def test_no_bytes_make_a_request_anything_but_a_request_or_none(octets):
    """One stranger's bytes end a thread, or are read as something that nobody said."""
    for parse in (parse_add, parse_rotation):
        with pytest.raises(Refused) as refused:
            parse(octets)
        assert (refused.value.status, refused.value.code) == (400, "malformed")


@pytest.mark.req("A-27")
def test_no_change_of_a_good_request_is_signed(history, desk):
    """A signature under something that the ledger never said: one wrong byte, and the witness is no witness."""
    desk.signs(history.asks(0))
    history.grows(4)
    good, die = history.asks(5), random.Random(6962)
    for _ in range(400):
        at = die.randrange(len(good))
        changed = good[:at] + bytes([good[at] ^ 1 << die.randrange(8)]) + good[at + 1 :]
        if die.random() < 0.2:
            changed = good[:at] + good[at + die.randrange(1, 9) :]
        reply = desk.witness.add_checkpoint(changed)
        assert reply.status in (400, 403, 404, 409, 422), (reply, changed)
    assert desk.size == 5
    desk.signs(good)


def test_a_witness_keeps_its_ledgers_apart(history, desk, tmp_path):
    """The history of one site would count for another."""
    other = Notary(origin="sekisho.example/gate-2", key=OTHER_KEY)
    desk.folder.trust([Vkey.parse(other.vkey, ED25519)])
    desk.signs(history.asks(0))
    assert desk.refuses(request_body(5, [], other.checkpoint(5, history.ledger.root).decode())) == (409, "behind")
    desk.signs(request_body(0, [], other.checkpoint(2, bytes(32)).decode()))
    assert desk.refuses(request_body(2, [], other.checkpoint(2, bytes(31) + b"1").decode())) == (409, "fork")
    desk.restarts()
    assert {origin: one.size for origin, one in desk.folder.known.items()} == {ORIGIN: 5, other.origin: 2}
    history.grows(1)
    desk.signs(history.asks(5))


# -- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
def test_two_futures_of_one_past_are_never_both_signed(history, desk, tmp_path):
    """Whoever has the disk and the key could show one history to the auditor and another to the witness."""
    desk.signs(history.asks(0))
    with contextlib.closing(history.forked(tmp_path / "image")) as other:
        history.grows(3)
        other.grows(3)
        desk.signs(history.asks(5))
        assert desk.refuses(other.asks(5)) == (409, "fork")
        assert desk.refuses(other.asks(8)) == (409, "fork")
        other.grows(4)
        assert desk.refuses(other.asks(8)) == (422, "not_consistent")
        history.grows(1)
        desk.signs(history.asks(8))
    assert set(desk.evidence) == {"fork", "not_consistent"}
    assert any("書き換え" in told and "rewritten" in told for told in desk.told)


@pytest.mark.req("A-27")
def test_an_old_disk_image_is_found_when_it_signs_a_new_future(history, desk, tmp_path):
    """Somebody puts last week's disk back and lives that week again."""
    with contextlib.closing(history.forked(tmp_path / "image")) as old:
        history.grows(20)
        desk.signs(history.asks(0))
        old.grows(1)
        assert desk.refuses(request_body(6, [], old.note())) == (409, "rollback")
        old.grows(30)
        assert desk.refuses(old.asks(25)) == (422, "not_consistent")
    text = desk.folder.evidence()[-1].read_text("utf-8")
    assert history.note().partition("\n\n")[0] in text, "what was signed stands beside what was asked"


@pytest.mark.req("A-27")
def test_a_history_that_was_signed_again_with_the_stolen_key_is_found(history, desk, tmp_path):
    """Whoever has the key rewrites all of it, every signature good."""
    history.grows(40)
    desk.signs(history.asks(0))
    with contextlib.closing(History(tmp_path / "rewritten", history.site)) as other:
        other.grows(45)
        assert desk.refuses(other.asks(45)) == (409, "fork")
        other.grows(1)
        assert desk.refuses(other.asks(45)) == (422, "not_consistent")


def test_a_request_that_is_played_back_moves_nothing(history, desk):
    """Somebody on the wire could take a witness back to yesterday."""
    first = history.asks(0)
    desk.signs(first)
    history.grows(3)
    second = history.asks(5)
    desk.signs(second)
    assert desk.refuses(first)[0] == 409
    assert desk.refuses(second) == (409, "behind")
    assert desk.size == 8


def test_requests_at_once_are_signed_in_one_order(history, desk):
    """Two requests that pass each other roll the witness back (tlog-witness, the race it warns of)."""
    desk.signs(history.asks(0))
    history.grows(20)
    requests = [history.asks(5, size) for size in range(6, 26)]
    with WitnessServer(("127.0.0.1", 0), {"/add-checkpoint": desk.witness.add_checkpoint}) as server:
        replies = []
        threads = [
            threading.Thread(target=lambda one=one: replies.append(server.answer("/add-checkpoint", one)))
            for one in requests
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(reply.status for reply in replies) == [200] + [409] * 19


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
def test_a_ledger_that_goes_on_with_another_key_keeps_its_witness(history, desk):
    """After a rotation nobody would vouch for the ledger, or anybody with any key."""
    desk.signs(history.asks(0))
    rotation = history.asks_to_rotate(OTHER_KEY)
    assert desk.witness.rotate_key(rotation).status == 200
    assert desk.witness.rotate_key(rotation).status == 200, "told twice"
    desk.signs(history.asks(5, note=json.loads(rotation)["checkpoint"]))
    desk.restarts()
    history.ledger.notary = Notary(origin=ORIGIN, key=OTHER_KEY)
    history.grows(2)
    assert desk.witness.rotate_key(rotation).status == 200, "told again, long after"
    old = Notary(origin=ORIGIN, key=SigningKey.from_seed(SEED)).checkpoint(8, history.ledger.root).decode()
    assert desk.refuses(history.asks(6, note=old)) == (403, "unknown_key"), "the old key signs no more"
    desk.signs(history.asks(6))


@pytest.mark.req("A-27")
def test_a_line_under_somebody_elses_checkpoint_is_no_rotation(history, desk):
    """Anybody who sees a checkpoint could put his own line under it and become the ledger's key."""
    desk.signs(history.asks(0))
    good = json.loads(history.asks_to_rotate(OTHER_KEY))
    thief = SigningKey.from_seed(b"a thief who has a seed of his ow")
    notary = Notary(origin=ORIGIN, key=thief)
    his = notary.checkpoint(history.size, history.ledger.root).decode().rpartition("\n\n")[2]
    attempts = {
        "his line, our record": good | {"checkpoint": history.note() + his},
        "his line, his record": good
        | {"checkpoint": history.note() + his, "body": good["body"].replace(good_new(good), notary.vkey)},
        "no line of the new key": good | {"checkpoint": history.note()},
        "another record": good | record_of(history, 3),
        "a cut proof": good | {"proof": good["proof"][:-1]},
        "another salt": good | {"salt": "00" * 32},
    }
    for name, told in attempts.items():
        reply = desk.witness.rotate_key(json.dumps(told).encode())
        assert code_of(reply) == (403, "bad_signature"), name
    for octets in (b"", b"{}", b"[]", b"[" * 5000, b'{"checkpoint":1}', b"\xff"):
        assert code_of(desk.witness.rotate_key(octets)) == (400, "malformed")
    assert len(Folder.read(desk.path).known[ORIGIN].keys) == 1


def good_new(told: dict[str, str]) -> str:
    return json.loads(told["body"])["detail"]["new"]


def record_of(history: History, seq: int) -> dict[str, str]:
    record = history.record(seq)
    return {"leaf": record.leaf.decode(), "salt": record.salt.hex(), "body": record.body.decode()}


# -- its folder -------------------------------------------------------------------------------------------------------


def test_a_disk_that_cannot_keep_it_lets_no_signature_out(history, desk):
    """A crash would make the witness sign a fork: it had signed what it does not remember."""
    desk.signs(history.asks(0))
    history.grows(2)
    (desk.path / "state.new").mkdir()  # whatever it tries to write there fails
    reply = desk.witness.add_checkpoint(history.asks(5))
    assert (reply.status, "—" in reply.body) == (503, False)
    assert desk.size == 5
    assert desk.told
    (desk.path / "state.new").rmdir()
    desk.signs(history.asks(5))


@pytest.mark.parametrize("what", ["away", "cut", "another size", "a hand's", "newer"])
def test_a_folder_that_lost_what_it_signed_is_not_begun_anew(history, desk, what):
    """A witness without memory would sign any history there is."""
    desk.signs(history.asks(0))
    desk.close()
    state = desk.path / "state.json"
    text = state.read_text("utf-8")
    match what:
        case "away":
            state.unlink()
        case "cut":
            state.write_text(text[:-40], "utf-8")
        case "another size":
            state.write_text(text.replace("\\n5\\n", "\\n3\\n"), "utf-8")
        case "a hand's":
            state.write_text(re.sub(r"— witness[^\\]+\\n", "", text), "utf-8")
        case "newer":
            state.write_text(text.replace('"v": 1', '"v": 2'), "utf-8")
    with pytest.raises(FolderRefused):
        Folder.hold(desk.path)


def test_two_processes_never_serve_one_folder(desk):
    """Each of them would sign what the other has not seen."""
    with pytest.raises(FolderRefused, match="another process"):
        Folder.hold(desk.path)


def test_strangers_fill_their_own_share_of_the_evidence(history, desk, tmp_path):
    """Whoever can reach the port could fill the disk, or leave no room for the one thing that matters."""
    desk.signs(history.asks(0))
    for count in range(OF_STRANGERS_MAX + 20):
        bad = base64.b64encode(count.to_bytes(40)).decode()
        note = history.note().partition("\n\n")[0] + f"\n\n— {ORIGIN} {bad}\n"
        assert desk.refuses(request_body(5, [], note)) == (403, "unknown_key")
    assert len(desk.evidence) == len(desk.told) == OF_STRANGERS_MAX
    with contextlib.closing(history.forked(tmp_path / "image")) as other:
        other.grows(1)
        history.grows(1)
        desk.signs(history.asks(5))
        assert desk.refuses(other.asks(6)) == (409, "fork")
    assert "fork" in desk.evidence


def test_the_key_is_for_its_owner_alone(desk):
    """Any account of the witness's machine could sign in its name."""
    assert (desk.path / "key.pem").stat().st_mode & 0o777 == 0o600
    desk.close()
    (desk.path / "key.pem").chmod(0o640)
    with pytest.raises(FolderRefused, match="0640"):
        Folder.hold(desk.path)
    with pytest.raises(FolderRefused, match="already"):
        Folder.create(desk.path, "witness.example/north")


def test_a_key_given_by_hand_is_trusted_too(desk):
    """A ledger whose key was lost could have no witness any more."""
    other = Vkey.parse(Notary(origin=ORIGIN, key=OTHER_KEY).vkey, ED25519)
    assert desk.folder.trust([other]) == [other]
    assert desk.folder.trust([other]) == []
    assert [key.vkey for key in Folder.read(desk.path).known[ORIGIN].keys] == [Vkey.parse(VKEY, ED25519), other]
