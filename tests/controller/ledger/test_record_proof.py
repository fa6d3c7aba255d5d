"""A proof of one record: whole or refused, whatever was changed in it."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.ledger.checkpoint import Notary
from controller.link.notes import COSIGNATURE, ED25519, Vkey, cosign, parse_checkpoint
from controller.link.proofs import inclusion_proof
from controller.link.record_proof import FIRST_LINE, ProofError, RecordProof
from controller.link.tree import leaf_hash

pytestmark = pytest.mark.req("A-27")

WITNESS = Ed25519PrivateKey.from_private_bytes(b"a made-up witness, 32 bytes long")
WITNESS_VKEY = Vkey(name="witness.example/north", algorithm=COSIGNATURE, public=WITNESS.public_key().public_bytes_raw())
COSIGNED_AT_S = 1_800_000_000


@pytest.fixture
def proof(site, path, slow_root):
    """Record 2 of five, under a checkpoint that a witness has signed."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        ledger.append(site.drafts(2))
        records = ledger.read(0, 5)
        note = ledger.checkpoint_text
    leaves = [record.leaf for record in records]
    steps = inclusion_proof(lambda height, at: slow_root(leaves[at << height : (at + 1) << height]), 2, 5)
    record = records[2]
    line = cosign(parse_checkpoint(note), WITNESS_VKEY, WITNESS.sign, COSIGNED_AT_S)
    return RecordProof(
        seq=2, leaf=record.leaf.decode(), salt=record.salt.hex(), body=record.body.decode(), path=tuple(steps),
        checkpoint=f"{note}{line}\n",
    )  # fmt: skip


@pytest.fixture
def vkey(site, path):
    with site.opens(path) as ledger:
        return Vkey.parse(ledger.notary.vkey, ED25519)


def test_either_form_gives_the_same_proof(proof, vkey):
    """A proof that was handed out could not be checked."""
    for given in (proof.text, json.dumps(proof.document)):
        again = RecordProof.parse(given)
        assert again == proof
        shown = again.check(vkey, [WITNESS_VKEY])
        assert shown.checkpoint.size == 5
        assert shown.leaf["seq"] == 2
        assert shown.is_body_shown
        assert dict(shown.cosigned_at_s) == {"witness.example/north": COSIGNED_AT_S}


def test_the_text_is_the_published_format(proof):
    """Nobody's tool but ours could read it."""
    lines = proof.text.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 2"
    empty = lines.index("")
    assert empty == 3 + len(proof.path)
    assert "\n".join(lines[empty + 1 :]) == proof.checkpoint


def test_a_proof_without_the_body_proves_the_leaf(proof, vkey):
    """A record whose body may not be shown, or was dropped, could not be proven."""
    bare = RecordProof.parse(replace(proof, body=None, salt=None).text)
    shown = bare.check(vkey)
    assert not shown.is_body_shown
    assert shown.cosigned_at_s == {}


def test_every_changed_sign_is_found(proof, vkey):
    """Somebody would be shown another record than the one that was made."""
    for given in (proof.text, json.dumps(proof.document, ensure_ascii=False)):
        for at, was in enumerate(given):
            for other in ("0" if was != "0" else "1", ""):
                changed = given[:at] + other + given[at + 1 :]
                if changed != given and not (given[0] == "{" and is_same_json(changed, given)):
                    assert is_refused(changed, vkey), f"{given[:at][-30:]}[{was}->{other}]{given[at + 1 :][:30]}"


def is_refused(given, vkey):
    try:
        RecordProof.parse(given).check(vkey, [WITNESS_VKEY])
    except ProofError:
        return True
    return False


def is_same_json(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_each_fault_is_named(proof, vkey, site):
    """Whoever checks a proof would not know which part of it to doubt."""
    stranger = Vkey(name=vkey.name, algorithm=ED25519, public=WITNESS_VKEY.public)
    other_site = replace(vkey, name="sekisho.example/other")
    unknown = replace(WITNESS_VKEY, name="witness.example/south")
    leaf = json.loads(proof.leaf)
    cases = [
        (replace(proof, body=proof.body.replace("c-3", "c-4")), vkey, (), "its body is not the one"),
        (replace(proof, salt="00" * 32), vkey, (), "its body is not the one"),
        (replace(proof, salt="00" * 31), vkey, (), "not 64 lower-case"),
        (replace(proof, salt="zz" * 32), vkey, (), "not 64 lower-case"),
        (replace(proof, seq=3), vkey, (), "its leaf is that of record 2"),
        (replace(proof, leaf=json.dumps(leaf)), vkey, (), "not a leaf as a ledger writes it"),
        (replace(proof, path=proof.path[1:]), vkey, (), "shorter"),
        (replace(proof, path=(*proof.path[:-1], bytes(32))), vkey, (), "does not lead to the root hash of 5"),
        (proof, stranger, (), "not signed by the key"),
        (proof, other_site, (), "of the ledger"),
        (proof, vkey, (unknown,), "the witness witness.example/south has not signed"),
    ]
    for changed, key, witnesses, why in cases:
        with pytest.raises(ProofError, match=why):
            RecordProof.parse(changed.text).check(key, witnesses)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ("x" * 3_000_000, "longer than"),
        (f"{FIRST_LINE}\n", "without `extra`"),
        (f"{FIRST_LINE}\nindex 3\n\n", "without `extra`"),
        (f"{FIRST_LINE}\nextra e30\nindex 3\n\n", "not base64"),
        (f"{FIRST_LINE}\nextra e30=\n\n", "index"),
        (f"{FIRST_LINE}\nextra e30=\nindex 03\n\n", "index"),
        (f"{FIRST_LINE}\nextra e30=\nindex {'9' * 5000}\n\n", "index"),
        (f"{FIRST_LINE}\nextra //8=\nindex 3\n\n", "not UTF-8"),
        (f"{FIRST_LINE}\nextra e30=\nindex 3\n\n", "its leaf is not there"),
        ('{"seq":"3"}', "its leaf"),
        ('{"seq":3,"leaf":"l","checkpoint":"c","salt":null,"path":[]}', "its salt"),
        ('{"seq":3,"leaf":"l","checkpoint":"c","salt":"s","path":[]}', "without the other"),
        ('{"seq":true,"leaf":"l","checkpoint":"c","path":[]}', "its seq"),
        ('{"seq":3,"leaf":"l","checkpoint":"c","path":"AAAA"}', "its path"),
        ('{"seq":3,"leaf":"l","checkpoint":"c","path":["AAAA"]}', "32 bytes"),
        ('{"seq":3,"leaf":"l","checkpoint":"c","path":[],"more":1}', "no part 'more'"),
        ('{"seq":3,"leaf":"\\ud800","checkpoint":"c","path":[]}', "not JSON"),
    ],
)
def test_what_is_no_proof_is_refused(given, why):
    """A file from a stranger would end the program that looks at it."""
    with pytest.raises(ProofError, match=why):
        RecordProof.parse(given)


@pytest.mark.parametrize("name", ["body", "salt", "leaf", "seq", "checkpoint"])
def test_a_name_that_stands_twice_is_no_proof(proof, name):
    """A court reads the first `body` of a file, and the program checked the second."""
    whole = json.dumps(proof.document)
    assert RecordProof.parse(whole) == proof
    said = json.dumps({name: proof.document[name]})[1:-1]
    with pytest.raises(ProofError, match="twice"):
        RecordProof.parse("{" + said + ", " + whole[1:])


@pytest.mark.parametrize("body", ["hello", '{"a":1,"a":2}', "[1]", '{"a":'])
def test_a_body_that_readers_take_differently_is_no_proof(proof, vkey, site, body):
    """Whoever has the key signs a body that says one thing to the court and another to its program."""
    salt = bytes(32)
    leaf = f'{{"body":"{sha256(salt + body.encode()).hexdigest()}","class":"access","seq":0,"v":1}}'
    note = Notary(origin=vkey.name, key=site.key).checkpoint(1, leaf_hash(leaf.encode())).decode()
    made = replace(proof, seq=0, leaf=leaf, salt=salt.hex(), body=body, path=(), checkpoint=note)
    with pytest.raises(ProofError, match="its body is not"):
        made.check(vkey)
