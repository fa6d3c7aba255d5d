"""The way of a checkpoint to a witness and back: what is found out about a ledger is told by its name, once."""

from __future__ import annotations

import contextlib
import random
import shutil

import pytest

from controller.cosigning import attend, watch_of
from controller.ledger.checkpoint import Notary, SigningKey
from controller.link.messages import Cosign, Done, Refused
from controller.link.notes import cosign, cosigned_at, parse_checkpoint
from controller.link.proofs import check_consistency, check_inclusion
from controller.link.tree import Tree, leaf_hash
from controller.streams.hash_file import HashFile
from controller.streams.section import SinkRefused
from controller.streams.settings import SettingsError, load_settings
from controller.streams.witness_line import WitnessSection
from sekisho.export import Cosignatures
from sekisho.witness_http import Reply
from tests.controller.ledger.conftest import ORIGIN
from tests.controller.ledger.conftest import Site as LedgerSite
from tests.controller.streams.witnessed import Listening, Site, key_named
from tests.sekisho.witness_rig import NOON_MS, OTHER_KEY, History

DAY_MS = 24 * 3_600_000


@pytest.fixture
def history(tmp_path):
    with contextlib.closing(History(tmp_path / "ledger")) as made:
        yield made.grows(5)


@pytest.fixture
def witness(tmp_path):
    with contextlib.closing(Listening(tmp_path / "witness")) as made:
        yield made


@pytest.fixture
def site(tmp_path, history, witness):
    made = Site(tmp_path / "streams", history, witness)
    yield made
    made.ends()


@pytest.mark.req("A-27")
def test_every_checkpoint_that_is_asked_for_comes_back_signed(site, history, witness):
    """A site would believe that somebody outside vouches for its ledger, and nobody does."""
    for count in (0, 1, 30, 60):
        history.grows(count)
        assert site.carries() == []
        assert site.vouched() == history.size
    newest = parse_checkpoint(site.cosigned(history.size)[0])
    line = next(one for one in newest.signatures if one.is_of(witness.vkey))
    assert cosigned_at(newest, witness.vkey, line) == NOON_MS // 1000
    assert len(site.cosigned()) == 4
    asked = len(witness.asked)
    site.carries()
    assert len(witness.asked) == asked, "nothing is asked where nothing has grown"


@pytest.mark.req("A-27")
def test_a_witness_that_was_away_for_days_goes_on_where_it_stood(site, history, witness):
    """Nobody vouches any more after the witness's machine was off for a weekend."""
    site.carries()
    witness.close()
    history.grows(40)
    assert site.carries() == [], "a short outage is nobody's business"
    site.now_ms += 2 * DAY_MS
    history.grows(10)
    assert site.carries() == ["SINK_LOST:unreachable"]
    assert site.carries() == []
    site.witness = Listening(witness.desk.path)
    try:
        site.witness.desk.now_ms = site.now_ms
        site.starts()
        assert site.carries() == ["SINK_RESTORED:0"], "also over a restart"
        assert site.vouched() == history.size == 55
        restored = site.reports[-1]
        assert (restored.from_seq, restored.to_seq, restored.for_ms >= 0) == (5, 54, True)
    finally:
        site.witness.close()
        site.witness = witness
        witness.close = lambda: None


@pytest.mark.req("A-27")
def test_an_old_disk_image_put_back_is_an_alarm_that_stands(site, history, witness, tmp_path):
    """Somebody puts last week's disk back, and all that it lacks has never happened."""
    history.ledger.close()
    shutil.copytree(history.folder, tmp_path / "image")
    history.ledger = history.site.opens(history.folder / "ledger.db")
    history.grows(20)
    site.carries()
    assert site.vouched() == 25
    with contextlib.closing(History(tmp_path / "image", LedgerSite(7))) as old:
        site.history = old.grows(1)
        site.starts()
        assert site.carries() == ["WITNESS_REFUSED:rollback"]
        assert (site.reports[-1].size, site.reports[-1].sink) == (6, "witness.example/north")
        assert site.carries() == [], "told once, for as long as it stands"
        old.grows(30)
        assert site.carries() + site.carries() == ["WITNESS_REFUSED:not_consistent"]
        assert site.vouched() == 0, "the old disk knows no cosignature of its new future"
    site.history = history
    history.grows(20)
    site.starts()
    assert site.carries() == []
    assert site.vouched() == history.size


@pytest.mark.req("A-27")
def test_a_history_signed_again_with_the_stolen_key_is_an_alarm(site, history, tmp_path):
    """Whoever has the key rewrites everything, as long as before, and every signature is good."""
    site.carries()
    with contextlib.closing(History(tmp_path / "rewritten", history.site)) as other:
        site.history = other.grows(5)
        assert site.carries() == ["WITNESS_REFUSED:fork"]
        other.grows(3)
        assert site.carries() == ["WITNESS_REFUSED:not_consistent"]
        other.grows(3)
        site.starts()
        told = site.carries() + site.carries()
        assert told == ["WITNESS_REFUSED:not_consistent"], "and again after a restart, once the tree was made anew"
        assert set(site.witness.desk.evidence) == {"fork", "not_consistent"}


@pytest.mark.req("A-27")
def test_a_ledger_of_another_key_is_an_alarm(site, history, tmp_path):
    """Somebody goes on with a key of his own, without the rotation that two people record."""
    site.carries()
    history.ledger.notary = Notary(origin=ORIGIN, key=OTHER_KEY)
    history.grows(2)
    assert site.carries() == ["WITNESS_REFUSED:unknown_key"]


@pytest.mark.req("A-27")
def test_a_rotation_takes_the_witness_along(site, history, tmp_path):
    """After every rotation somebody would have to go to the witness's machine, or hear it cry over nothing."""
    site.carries()
    history.rotates(OTHER_KEY)
    history.grows(3)
    assert site.carries() == []
    assert site.vouched() == history.size == 9
    assert site.witness.desk.evidence == [], "it was told before it had to refuse"
    history.rotates(SigningKey.from_seed(bytes(32)))
    history.grows(1)
    site.starts()
    assert site.carries() == []
    assert site.vouched() == history.size
    site.ends()
    history.rotates(SigningKey.from_seed(bytes(31) + b"1"))
    history.grows(1)
    site.starts()
    site.follower.session()
    site.starts()  # between the record and the question: the rotation is remembered
    assert site.carries() == []
    assert site.vouched() == history.size
    assert site.witness.desk.evidence == ["unknown_key"]
    assert len(site.witness.desk.folder.known[ORIGIN].keys) == 4


# -- whoever lies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie, told",
    [
        (Reply(status=200, body=""), "SINK_LOST:protocol"),
        (Reply(status=200, body="— witness.example/north AAAAAAAA\n"), "SINK_LOST:protocol"),
        (Reply(status=500, body="no"), "SINK_LOST:protocol"),
        (Reply(status=409, body="many\n"), "SINK_LOST:protocol"),
        (Reply(status=429, body=""), "SINK_LOST:busy"),
        (Reply(status=302, body="", headers={"Location": "http://127.0.0.1:1/"}), "SINK_LOST:protocol"),
        (Reply(status=409, body="9\n"), "WITNESS_REFUSED:rollback"),
        (Reply(status=422, body=""), "WITNESS_REFUSED:not_consistent"),
        (Reply(status=404, body=""), "WITNESS_REFUSED:unknown_key"),
        (Reply(status=403, body="", headers={"Sekisho-Refused": "bad_signature"}), "WITNESS_REFUSED:bad_signature"),
        (Reply(status=403, body="", headers={"Sekisho-Refused": "x" * 100}), "WITNESS_REFUSED:unknown_key"),
        (Reply(status=200, body="x" * 20000), "SINK_LOST:protocol"),
    ],
)
def test_whatever_a_witness_answers_is_told_by_a_code(site, history, witness, lie, told):
    """A witness that is broken, or somebody in its place, stops the couriers, or is silently believed."""
    witness.lies = [lie] * 9
    first = site.carries()
    site.now_ms += 60_000
    assert first + site.carries() == [told]
    assert site.vouched() == 0
    witness.lies = []
    witness.desk.now_ms = site.now_ms
    site.carries()
    assert site.vouched() == history.size


def test_a_witness_that_never_says_the_same_is_left(site, history, witness):
    """Two couriers of one witness, or a lie, keep a thread asking for ever."""
    witness.lies = [Reply(status=409, body=f"{size}\n") for size in (1, 2, 3, 4, 1, 2, 3)]
    site.carries()
    assert len(witness.asked) == 4


@pytest.mark.req("A-27")
def test_a_line_by_somebody_else_is_not_kept(site, history, witness):
    """A witness whose key was stolen is taken out of the site file, and the thief's lines still count."""
    checkpoint = parse_checkpoint(history.note())
    thief = SigningKey.from_seed(b"a thief who has a seed of his ow")
    his = key_named(witness.vkey.name, thief.public)
    forged = cosign(checkpoint, his, thief.sign, 1_795_000_000)
    as_ours = forged.replace(forged.split(" ")[2][:5], "AAAAA")
    other = key_named("witness.example/south", witness.vkey.public)
    unasked = cosign(checkpoint, other, witness.desk.folder._key.sign, 1_795_000_000)
    for line in (forged, as_ours, unasked):
        answer = site.cosign(f"{history.note()}{line}\n")
        assert isinstance(answer, Refused)
        assert answer.code == "not_ours"
    assert site.cosigned() == ()
    good = witness.desk.signs(history.asks(0))
    assert isinstance(site.cosign(f"{history.note()}{good}\n"), Done)
    site.vkeys = (his,)
    assert site.vouched() == 0, "a line of the key that was taken out vouches for nothing"


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    "note",
    [
        "",
        "x",
        "a checkpoint of another history",
        "a size inside a commit",
        "a size beyond the end",
        "no witness",
    ],
)
def test_a_checkpoint_that_is_not_ours_is_not_kept(site, history, witness, tmp_path, note):
    """A witness's good line under another history would stand in our ledger as if it were about this one."""
    history.ledger.append(history.site.drafts(3))
    line = witness.desk.signs(history.asks(0))
    text = {
        "a size inside a commit": history.note().replace("\n8\n", "\n7\n") + line + "\n",
        "a size beyond the end": history.note().replace("\n8\n", "\n9\n") + line + "\n",
        "no witness": history.note(),
    }.get(note, note)
    if note == "a checkpoint of another history":
        with contextlib.closing(History(tmp_path / "other", history.site)) as other:
            text = other.grows(5).note() + line + "\n"
    answer = site.cosign(text)
    assert isinstance(answer, Refused)
    assert (answer.code, bool(answer.why)) == ("not_ours", True)
    assert site.cosigned() == ()


@pytest.mark.parametrize("at_s", [2**63 - 1, 10**15, 4_102_444_801])
def test_a_time_that_no_calendar_has_is_not_kept(site, history, witness, at_s):
    """A witness's stolen key would stop the controller, or the page, with one number."""
    line = cosign(parse_checkpoint(history.note()), witness.vkey, witness.desk.folder._key.sign, at_s)
    answer = site.cosign(f"{history.note()}{line}\n")
    assert isinstance(answer, Refused)
    assert answer.code == "not_ours"
    witness.lies = [Reply(status=200, body=f"{line}\n")]
    assert [one.split(":")[0] for one in site.carries()] == ["CLOCK_SKEW"]
    assert abs(site.reports[-1].by_ms) < 2**53
    assert site.cosigned() == ()


def test_a_ledger_that_has_no_place_for_lines_still_starts(site, history, witness):
    """An upgrade on a full disk would leave a site without its controller, and its exits without their buttons."""
    history.ledger._connection.execute("DROP TABLE cosignature")
    (standing,) = watch_of(history.ledger, [witness.vkey.text]).standings(NOON_MS)
    assert (standing.size, standing.is_silent) == (0, False)
    answer = site.cosign(f"{history.note()}{witness.desk.signs(history.asks(0))}\n")
    assert isinstance(answer, Refused)
    assert answer.code == "ledger_unavailable"


def test_an_old_cosignature_played_back_takes_nothing_away(site, history, witness):
    """Somebody brings last year's line, and the page says that nobody has looked since."""
    site.carries()
    old = site.cosigned()[0]
    history.grows(5)
    site.now_ms += 5_000
    witness.desk.now_ms += 5_000
    site.carries()
    assert isinstance(site.cosign(old), Done)
    assert site.vouched() == 10
    watch = site.watch()
    before = watch.standings(NOON_MS)
    watch.vouched(attended(site, old))
    assert watch.standings(NOON_MS) == before
    assert len(site.cosigned()) == 2


def attended(site: Site, note: str):
    return attend(1, Cosign(id="again", note=note), site.history.ledger, site.vkeys).vouched


def test_a_witness_that_the_site_file_does_not_name_is_an_alarm(site, history, witness):
    """Somebody set a witness up by half, and believes that it counts."""
    site.vkeys = (key_named("witness.example/south", OTHER_KEY.public),)
    site.carries()
    site.now_ms += 60_000
    witness.desk.now_ms = site.now_ms
    assert site.carries() == ["SINK_LOST:rejected"]
    site.vkeys = (witness.vkey,)
    assert site.carries() == ["SINK_RESTORED:0"]


def test_an_export_has_the_lines_under_the_checkpoints_that_were_signed(site, history, witness):
    """The auditor's copy would lack what somebody outside vouches for, or have it under the wrong record."""
    history.grows(140)
    signed = {3, 4, *range(20, 120), 145}
    for size in signed:
        line = cosign(
            parse_checkpoint(history.note(size)), witness.vkey, witness.desk.folder._key.sign, 1_795_000_000 + size
        )
        assert isinstance(site.cosign(f"{history.note(size)}{line}\n"), Done)
    lines = Cosignatures(site)
    for record in history.ledger.read(0, 1000):
        own = record.checkpoint.decode()
        under = lines.under(own)
        assert under.startswith(own)
        checkpoint = parse_checkpoint(under)
        theirs = [one for one in checkpoint.signatures if one.is_of(witness.vkey)]
        assert [cosigned_at(checkpoint, witness.vkey, one) for one in theirs] == [
            1_795_000_000 + size for size in signed if size == record.seq + 1
        ]


# -- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
def test_a_witness_that_is_silent_for_a_day_is_told(site, history):
    """The witness was switched off in spring, and nobody noticed until the auditor asked."""
    made_ms = history.record(0).decoded().at_ms
    assert [one.is_silent for one in site.watch().standings(made_ms + DAY_MS - 1)] == [False], "it was just set up"
    assert [one.is_silent for one in site.watch().standings(made_ms + 2 * DAY_MS)] == [True], "it never came"
    site.carries()
    watch = site.watch()
    far_ms = made_ms + 100 * DAY_MS
    assert [one.is_silent for one in watch.standings(far_ms)] == [False], "nothing was recorded since"
    watch.grown(history.size, far_ms)
    assert [one.is_silent for one in watch.standings(far_ms + 2 * DAY_MS)] == [False]
    watch.grown(history.size + 1, far_ms)
    assert [one.is_silent for one in watch.standings(far_ms + DAY_MS)] == [False]
    assert [one.is_silent for one in watch.standings(far_ms + DAY_MS + 1)] == [True]
    history.grows(1)
    site.carries()
    watch.vouched(attended(site, site.cosigned(history.size)[0]))
    (standing,) = watch.standings(far_ms + 9 * DAY_MS)
    assert (standing.is_silent, standing.size, standing.name) == (False, 6, "witness.example/north")


# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-26")
@pytest.mark.parametrize("by_ms, is_told", [(0, False), (900, False), (-900, False), (5000, True), (-5000, True)])
def test_a_clock_that_differs_from_the_witness_is_told_once(site, history, witness, by_ms, is_told):
    """Two doors' records cannot be put in order, because their clocks have drifted apart and nobody knows."""
    witness.desk.now_ms = NOON_MS + by_ms
    told = [f"CLOCK_SKEW:{-by_ms}"] if is_told else []  # ours minus theirs, as of every clock (docs/ledger.md §6)
    assert site.carries() == told
    history.grows(1)
    assert site.starts().carries() == [], "once, while it lasts"
    witness.desk.now_ms = NOON_MS
    history.grows(1)
    assert site.starts().carries() == (["CLOCK_AGREES:0"] if is_told else []), "and that it is over"
    history.grows(1)
    assert site.carries() == []
    witness.desk.now_ms = NOON_MS + by_ms
    history.grows(1)
    assert site.carries() == told, "again, once it was well in between"
    assert [record.seq for record in history.ledger.read(0, 99)] == list(range(history.size))


@pytest.mark.req("A-26")
@pytest.mark.parametrize("by_s, is_told", [(0, False), (1, False), (3, True), (-3, True)])
def test_a_foreign_witness_tells_whole_seconds_and_is_not_accused_of_them(site, history, witness, by_s, is_told):
    """Every witness that is not ours would be an alarm each minute, or none however wrong the clock."""
    witness.desk.now_ms = NOON_MS + by_s * 1000
    line = witness.desk.signs(history.asks(0))
    witness.lies = [Reply(status=200, body=line + "\n")]
    told = site.carries()
    assert [one.split(":")[0] for one in told] == ["CLOCK_SKEW"] * is_told


# -- the tree beside --------------------------------------------------------------------------------------------------


def test_the_tree_on_disk_is_the_ledgers_tree(tmp_path):
    """A proof that is wrong is an alarm about a ledger that is whole."""
    tree, roots, die = Tree(), [Tree().root()], random.Random(9162)
    leaves = [leaf_hash(b"%d" % number) for number in range(700)]
    with HashFile(tmp_path / "tree") as kept:
        for leaf in leaves:
            kept.append(leaf)
            tree.append(leaf)
            roots.append(tree.root())
            assert kept.root() == roots[-1]
    with HashFile(tmp_path / "tree") as kept:
        assert kept.size == 700
        for _ in range(300):
            old = die.randrange(701)
            new = die.randrange(old, 701)
            check_consistency(old, roots[old], new, roots[new], kept.consistency(old, new))
            index = die.randrange(700)
            size = die.randrange(index + 1, 701)
            check_inclusion(leaves[index], index, size, roots[size], kept.inclusion(index, size))


def test_a_tree_that_was_cut_off_anywhere_is_a_shorter_tree(tmp_path):
    """A crash leaves a tree of which every later proof is wrong."""
    path, roots = tmp_path / "tree", [Tree().root()]
    with HashFile(path) as kept:
        for number in range(70):
            kept.append(leaf_hash(b"%d" % number))
            roots.append(kept.root())
    whole = path.read_bytes()
    for cut in range(0, len(whole), 31):
        path.write_bytes(whole[:cut])
        with HashFile(path) as kept:
            assert kept.root() == roots[kept.size]
            assert 64 * kept.size <= cut + 32 * 8


@pytest.mark.parametrize("what", ["a bit", "zeros", "gone", "longer", "another's"])
def test_a_tree_that_rotted_is_made_anew(site, history, witness, what):
    """A disk's fault in a cache would be an alarm that the ledger was rewritten."""
    history.grows(60)
    site.carries()
    site.ends()
    path = site.folder / "tree.hashes"
    octets = bytearray(path.read_bytes())
    match what:
        case "a bit":
            octets[40 * 64 + 5] ^= 1
        case "zeros":
            octets[-640:] = bytes(640)
        case "gone":
            octets.clear()
        case "longer":
            octets += bytes(6400)
        case "another's":
            octets[:] = random.Random(1).randbytes(len(octets))
    path.write_bytes(octets)
    site.starts()
    history.grows(3)
    for _ in range(3):
        told = site.carries()
        assert told == []
    assert site.vouched() == history.size


def test_a_tree_that_rotted_where_no_checkpoint_looks_accuses_nobody(site, history, witness):
    """A disk's fault in a cache would be recorded for ever as a ledger that was rewritten."""
    history.grows(40)
    site.carries()
    witness.lies = [Reply(status=503, body="")]
    history.grows(15)
    site.carries()
    site.ends()
    path = site.folder / "tree.hashes"
    octets = bytearray(path.read_bytes())
    octets[(2 * 44 - (44).bit_count()) * 32] ^= 1  # the hash of record 44, the last one that the witness knows
    path.write_bytes(octets)
    site.starts()
    history.grows(3)
    assert [site.carries(), site.carries(), site.carries()] == [[], [], []]
    assert site.vouched() == history.size == 63
    assert witness.desk.evidence == ["not_consistent"], "the wrong proof was sent, and refused"


def test_a_controller_that_is_away_costs_nothing(site, history):
    """The witness would be told of a ledger that was seen yesterday."""
    site.is_away = True
    assert site.carries() == []
    site.is_away = False
    assert site.carries() == []
    assert site.vouched() == history.size


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed, key",
    [
        ({"url": "ftp://witness.example"}, "url"),
        ({"url": "witness.example:8443"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://somebody@witness.example"}, "url"),
        ({"url": "http://witness.example:99999"}, "url"),
        ({"url": "https://witness.example"}, "ca_file"),
        ({"vkey": "nonsense"}, "vkey"),
    ],
)
def test_a_witness_that_cannot_be_asked_is_refused_at_the_start(tmp_path, changed, key):
    """Somebody believes for a year that a witness is asked."""
    good = {"name": "north", "url": "http://127.0.0.1:8443", "vkey": key_named("w.example", OTHER_KEY.public).text}
    with pytest.raises(SinkRefused) as refused:
        WitnessSection(**(good | changed)).checked()
    assert refused.value.key == key
    lines = "".join(f'{name} = "{value}"\n' for name, value in (good | changed).items())
    path = tmp_path / "streams.toml"
    path.write_text(f'socket = "s"\nstate_dir = "state"\n\n[[witness]]\n{lines}', "utf-8")
    with pytest.raises(SettingsError, match=rf"streams.toml:\d+: witness\[0\]\.{key}"):
        load_settings(path)


def test_settings_with_witnesses_alone_are_enough(tmp_path):
    """A site without a sink could have no witness."""
    vkey = key_named("w.example", OTHER_KEY.public).text
    path = tmp_path / "streams.toml"
    section = f'[[witness]]\nname = "north"\nurl = "http://127.0.0.1:1"\nvkey = "{vkey}"\n'
    path.write_text(f'socket = "s"\nstate_dir = "state"\n{section}', "utf-8")
    assert load_settings(path).witness[0].every_s == 60
    path.write_text(f'socket = "s"\nstate_dir = "state"\n{section}{section}', "utf-8")
    with pytest.raises(SettingsError, match="north is the name of another"):
        load_settings(path)
    path.write_text('socket = "s"\nstate_dir = "state"\n', "utf-8")
    with pytest.raises(SettingsError, match="nothing to carry"):
        load_settings(path)
    path.write_text(f'socket = "s"\nstate_dir = "state"\n{section}retries = 3\n', "utf-8")
    with pytest.raises(SettingsError, match=r"there is no such key here; there are name, url, vkey"):
        load_settings(path)
