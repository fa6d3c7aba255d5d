"""Cards as scripts answer for them: enough of each chip to be issued, to prove itself, and to be tampered with.

They use our own arithmetic, which the published vectors hold; the simulators' cards have their own. A card keeps what
it holds when it is taken away (`lost`), and forgets what it was doing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from readers.cards import aliro
from readers.cards.aes import ZEROS, AesKey, crc32, padded, rotated, unpadded, xor
from readers.cards.apdu import objects, tlv
from readers.cards.diversify import diversified
from readers.cards.ev1 import session_key
from readers.cards.ev2 import COMMAND, RESPONSE, session_keys, truncated
from readers.cards.felica_mac import FelicaMacs
from readers.cards.iso_des import session_key as des_session_key
from readers.cards.session import CardTarget

APPLICATION = bytes.fromhex("F5A1C3")
UID = bytes.fromhex("04A1B2C3D4E580")
RANDOM_UID = bytes.fromhex("08112233")
IDM = bytes.fromhex("0139D1A2B3C4D5E6")
READER_ID = bytes(range(32))
MAKER = ec.derive_private_key(7, ec.SECP224R1())
MAKER_POINT = aliro.encoded(MAKER.public_key())


class Dice:
    """Random bytes that a test can foresee, and that never come twice."""

    def __init__(self, seed: int = 1) -> None:
        self._key = AesKey(seed.to_bytes(16, "big"))
        self._count = 0

    def __call__(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            self._count += 1
            out += self._key.encrypt(self._count.to_bytes(16, "big"))
        return out[:size]


PURPOSES = ("desfire_master", "desfire_read", "desfire_uid", "ntag424_master", "ntag424_read", "felica_card")


class SiteKeys:
    """A site's card keys: `held` versions by purpose, the newest first."""

    def __init__(self, **held: tuple[int, ...]) -> None:
        self.held = dict.fromkeys(PURPOSES, (1,)) | held
        self.asked: list[tuple[str, int, bytes]] = []

    def versions(self, purpose):
        return self.held[purpose]

    def diversified(self, purpose, version, number):
        if version not in self.held[purpose]:
            raise KeyError(purpose)
        self.asked.append((purpose, version, number))
        master = purpose.encode().ljust(15, b".")[:15]
        return diversified(master + bytes((version,)), number + APPLICATION + b"made-up")


@dataclass
class App:
    keys: list[tuple[bytes, int]]
    files: dict[int, bytearray] = field(default_factory=dict)
    settings: dict[int, bytes] = field(default_factory=dict)


class Session:
    """A card's side of a session."""

    def __init__(self, kind: str, key: int, enc: bytes, mac: bytes = b"", ti: bytes = b"") -> None:
        self.kind, self.key, self.ti, self.counter, self.iv = kind, key, ti, 0, ZEROS
        self.enc_raw = enc
        self.enc = AesKey(enc) if kind != "des" else None
        self.mac = AesKey(mac) if mac else None

    def tag(self, first: int, body: bytes) -> bytes:
        return truncated(self.mac.cmac(bytes((first,)) + self.counter.to_bytes(2, "little") + self.ti + body))

    def vector(self, label: bytes) -> bytes:
        return self.enc.encrypt(label + self.ti + self.counter.to_bytes(2, "little") + bytes(8))


def sw(word: int, body: bytes = b"") -> bytes:
    return body + word.to_bytes(2, "big")


class NxpCard:
    """DESFire EV2 as a script plays it; `Ntag` below changes what differs."""

    hardware = bytes.fromhex("04010112001A05")
    plain_files: frozenset[int] = frozenset()

    def __init__(self, uid: bytes = UID, *, dice: Dice | None = None, maker=MAKER, knows_ev2: bool = True) -> None:
        self.uid = uid
        self.is_random = False
        self.dice = dice or Dice(99)
        self.knows_ev2 = knows_ev2
        self.tells_versions = True
        self.picc = App([(bytes(16), 0)])
        self.is_des = True
        self.apps: dict[bytes, App] = {}
        self.signature = b""
        if maker is not None:
            digest = uid.rjust(28, b"\0")
            r, s = utils.decode_dss_signature(maker.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA224()))))
            self.signature = r.to_bytes(28, "big") + s.to_bytes(28, "big")
        self.lost()

    def lost(self) -> None:
        """Taken out of the field."""
        self.selected, self.session, self.pending = self.picc, None, None

    def target(self) -> CardTarget:
        return CardTarget(kind="iso14443a", number=RANDOM_UID if self.is_random else self.uid, sak=0x20)

    def __call__(self, apdu: bytes) -> bytes:
        if apdu[0] == 0x00:
            return self.iso(apdu)
        if apdu[0] != 0x90:
            return sw(0x6E00)
        instruction = apdu[1]
        body = apdu[5:-1] if len(apdu) > 5 else b""
        if instruction == 0xAF and self.pending:
            step, self.pending = self.pending, None
            return step(body)
        self.pending = None
        handler = getattr(self, f"on_{instruction:02x}", None)
        if handler is None or (instruction == 0x71 and not self.knows_ev2):
            return sw(0x911C)
        return handler(instruction, body)

    def iso(self, apdu: bytes) -> bytes:
        return sw(0x6A82)

    # -- in the clear --------------------------------------------------------------------------------------------------
    def on_5a(self, _: int, body: bytes) -> bytes:
        self.session = None
        found = self.picc if body == bytes(3) else self.apps.get(body)
        if found is None:
            return sw(0x91A0)
        self.selected = found
        return sw(0x9100)

    def on_60(self, _: int, body: bytes) -> bytes:
        uid = bytes(7) if self.is_random else self.uid
        parts = [self.hardware, uid + bytes(7)]

        def third(_: bytes) -> bytes:
            return sw(0x9100, parts[1])

        def second(_: bytes) -> bytes:
            self.pending = third
            return sw(0x91AF, parts[0])

        self.pending = second
        return sw(0x91AF, parts[0])

    def on_3c(self, _: int, body: bytes) -> bytes:
        return sw(0x9190, self.signature) if self.signature else sw(0x911C)

    def on_6a(self, _: int, body: bytes) -> bytes:
        return sw(0x9100, b"".join(self.apps))

    # -- handshakes ----------------------------------------------------------------------------------------------------
    def on_71(self, _: int, body: bytes) -> bytes:
        number = body[0]
        if number >= len(self.selected.keys) or (self.selected is self.picc and self.is_des):
            return sw(0x91AE)
        raw = self.selected.keys[number][0]
        key, rnd_b = AesKey(raw), self.dice(16)

        def second(token: bytes) -> bytes:
            plain = key.decrypt(token)
            if len(token) != 32 or plain[16:] != rotated(rnd_b):
                return sw(0x91AE)
            rnd_a, ti = plain[:16], self.dice(4)
            self.session = Session("ev2", number, *session_keys(raw, rnd_a, rnd_b), ti)
            return sw(0x9100, key.encrypt(ti + rotated(rnd_a) + bytes(12)))

        self.pending = second
        return sw(0x91AF, key.encrypt(rnd_b))

    def on_aa(self, _: int, body: bytes) -> bytes:
        number = body[0]
        raw = self.selected.keys[number][0]
        key, rnd_b = AesKey(raw), self.dice(16)
        first = key.encrypt(rnd_b)

        def second(token: bytes) -> bytes:
            plain = key.decrypt(token, first)
            if plain[16:] != rotated(rnd_b):
                return sw(0x91AE)
            self.session = Session("ev1", number, session_key(plain[:16], rnd_b))
            return sw(0x9100, key.encrypt(rotated(plain[:16]), token[-16:]))

        self.pending = second
        return sw(0x91AF, first)

    def on_1a(self, _: int, body: bytes) -> bytes:
        if self.selected is not self.picc or not self.is_des:
            return sw(0x91AE)
        rnd_b = self.dice(8)

        def cbc(iv: bytes) -> Cipher:
            return Cipher(TripleDES(bytes(24)), modes.CBC(iv))

        first = cbc(bytes(8)).encryptor().update(rnd_b)

        def second(token: bytes) -> bytes:
            plain = cbc(first).decryptor().update(token)
            if plain[8:] != rotated(rnd_b):
                return sw(0x91AE)
            self.session = Session("des", 0, des_session_key(plain[:8], rnd_b))
            return sw(0x9100, cbc(token[-8:]).encryptor().update(rotated(plain[:8])))

        self.pending = second
        return sw(0x91AF, first)

    # -- inside a session ----------------------------------------------------------------------------------------------
    def received(self, instruction: int, body: bytes, header: int, *, full: bool) -> tuple[bytes, bytes] | None:
        """Header and data field of a good EV2 command; None of any other."""
        s = self.session
        if s is None or s.kind != "ev2" or body[-8:] != s.tag(instruction, body[:-8]):
            self.session = None
            return None
        head, field_ = body[:header], body[header:-8]
        if full and field_:
            field_ = unpadded(s.enc.decrypt(field_, s.vector(COMMAND))) or b""
        s.counter += 1
        return head, field_

    def said(self, plain: bytes = b"", *, full: bool = False) -> bytes:
        s = self.session
        body = s.enc.encrypt(padded(plain), s.vector(RESPONSE)) if full and plain else plain
        return sw(0x9100, body + s.tag(0, body))

    def on_64(self, instruction: int, body: bytes) -> bytes:
        if self.session is None:
            return sw(0x9100, bytes((self.selected.keys[body[0]][1],))) if self.tells_versions else sw(0x919D)
        got = self.received(instruction, body, 1, full=False)
        return self.said(bytes((self.selected.keys[got[0][0]][1],))) if got else sw(0x911E)

    def on_51(self, instruction: int, body: bytes) -> bytes:
        s = self.session
        if s is not None and s.kind == "ev1":
            s.iv = s.enc.cmac(bytes((instruction,)), s.iv)
            return sw(0x9100, self.ev1_full(self.uid))
        return self.said(self.uid, full=True) if self.received(instruction, body, 0, full=False) else sw(0x91AE)

    def ev1_full(self, plain: bytes) -> bytes:
        s = self.session
        plain += crc32(plain + b"\0")
        out = s.enc.encrypt(plain + bytes(-len(plain) % 16), s.iv)
        s.iv = out[-16:]
        return out

    def on_bd(self, instruction: int, body: bytes) -> bytes:
        s = self.session
        if s is None or s.kind != "ev1" or s.key != 2:
            return sw(0x91AE)
        s.iv = s.enc.cmac(bytes((instruction,)) + body, s.iv)
        size = int.from_bytes(body[4:7], "little")
        return sw(0x9100, self.ev1_full(bytes(self.selected.files[body[0]][:size])))

    def on_ad(self, instruction: int, body: bytes) -> bytes:
        if self.session is None:
            if body[0] not in self.plain_files:
                return sw(0x91AE)
            size = int.from_bytes(body[4:7], "little")
            return sw(0x9100, bytes(self.selected.files[body[0]][:size]))
        if self.session.key != 2:
            return sw(0x919D)
        got = self.received(instruction, body, 7, full=False)
        if got is None:
            return sw(0x911E)
        size = int.from_bytes(got[0][4:7], "little")
        return self.said(bytes(self.selected.files[got[0][0]][:size]), full=True)

    def on_8d(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 7, full=True)
        if got is None:
            return sw(0x911E)
        self.selected.files[got[0][0]][: len(got[1])] = got[1]
        return self.said()

    def on_c4(self, instruction: int, body: bytes) -> bytes:
        s = self.session
        if s is not None and s.kind == "des":
            plain = Cipher(TripleDES(s.enc_raw), modes.CBC(bytes(8))).decryptor().update(body[1:])
            assert plain[17:21] == crc32(b"\xc4" + body[:1] + plain[:17])
            self.picc.keys[0], self.is_des, self.session = (plain[:16], plain[16]), False, None
            return sw(0x9100)
        if s is None or s.key != 0:
            return sw(0x919D)
        got = self.received(instruction, body, 1, full=True)
        if got is None:
            return sw(0x911E)
        slot, plain = got[0][0] & 0x0F, got[1]
        if slot == 0:
            assert len(plain) == 17
            self.selected.keys[0], self.session = (plain[:16], plain[16]), None
            return sw(0x9100)
        key = xor(plain[:16], self.selected.keys[slot][0])
        if plain[17:] != crc32(key):
            return sw(0x911E)
        self.selected.keys[slot] = (key, plain[16])
        return self.said()

    def on_ca(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 5, full=False)
        if got is None:
            return sw(0x911E)
        self.apps[got[0][:3]] = App([(bytes(16), 0)] * (got[0][4] & 0x0F))
        return self.said()

    def on_da(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 3, full=False)
        if got is None or got[0] not in self.apps:
            return sw(0x911E)
        del self.apps[got[0]]
        return self.said()

    def on_cd(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 7, full=False)
        if got is None:
            return sw(0x911E)
        self.selected.files[got[0][0]] = bytearray(int.from_bytes(got[0][4:7], "little"))
        self.selected.settings[got[0][0]] = got[0][1:4]
        return self.said()

    def on_5c(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 1, full=True)
        if got is None:
            return sw(0x911E)
        self.is_random = bool(got[1][0] & 2)
        return self.said()


class Ntag(NxpCard):
    """NTAG 424 DNA."""

    hardware = bytes.fromhex("04040230001105")
    plain_files = frozenset({2})

    def __init__(self, uid: bytes = UID, **extra: object) -> None:
        super().__init__(uid, **extra)
        self.app = App(
            [(bytes(16), 0)] * 5,
            {2: bytearray(256), 3: bytearray(128)},
            {2: bytes.fromhex("00E0EE"), 3: bytes.fromhex("033023")},
        )

    on_5a = on_6a = on_aa = on_1a = on_ca = on_da = on_cd = on_bd = None

    def iso(self, apdu: bytes) -> bytes:
        if apdu[:5] == bytes.fromhex("00A4040007") and apdu[5:12] == bytes.fromhex("D2760000850101"):
            self.selected, self.session = self.app, None
            return sw(0x9000)
        return sw(0x6A82)

    def on_8d(self, instruction: int, body: bytes) -> bytes:
        if self.session is not None:
            return super().on_8d(instruction, body)
        if self.app.settings[body[0]] != bytes.fromhex("00E0EE"):
            return sw(0x919D)
        self.app.files[body[0]][: len(body) - 7] = body[7:]
        return sw(0x9100)

    def on_5f(self, instruction: int, body: bytes) -> bytes:
        got = self.received(instruction, body, 1, full=True)
        if got is None:
            return sw(0x911E)
        self.app.settings[got[0][0]] = got[1]
        return self.said()


class Felica:
    """FeliCa Lite-S."""

    def __init__(self, idm: bytes = IDM) -> None:
        self.idm = idm
        self.blocks = {number: bytes(16) for number in (*range(15), 0x80, 0x86, 0x87, 0x92)}
        self.blocks[0x82] = idm + bytes(8)
        self.blocks[0x83] = idm + bytes.fromhex("00F1000000014300")
        self.blocks[0x88] = bytes.fromhex("FFFFFF01070000000000000000000000")
        self.count = 0
        self.refuses: set[int] = set()

    def lost(self) -> None:
        self.blocks[0x80] = self.blocks[0x92] = bytes(16)

    def target(self) -> CardTarget:
        return CardTarget(kind="felica", number=self.idm, system_code=b"\x88\xb4")

    def macs(self) -> FelicaMacs:
        return FelicaMacs(self.blocks[0x87], self.blocks[0x80])

    def wcnt(self) -> bytes:
        return self.count.to_bytes(3, "little") + bytes(13)

    def __call__(self, command: bytes) -> bytes | None:
        if command[1:9] != self.idm:
            return None
        count = command[12]
        numbers = command[14 : 13 + 2 * count : 2]
        return self.reads(numbers) if command[0] == 0x06 else self.writes(numbers, command[13 + 2 * count :])

    def reads(self, numbers: bytes) -> bytes:
        out = b""
        for number in numbers:
            if number == 0x91:
                out += self.macs().mac_a_read(numbers, out) + bytes(8)
            elif number == 0x87:
                out += bytes(16)
            else:
                out += self.wcnt() if number == 0x90 else self.blocks[number]
        return b"\x07" + self.idm + b"\0\0" + bytes((len(numbers),)) + out

    def writes(self, numbers: bytes, content: bytes) -> bytes:
        block, proved = numbers[0], False
        if len(numbers) == 2:
            mac = self.macs().mac_a_write(self.wcnt()[:3], block, content[:16])
            proved = content[16:27] == mac + self.wcnt()[:3]
        memory = self.blocks[0x88]
        is_locked = memory[2] == 0 and block >= 0x82
        is_allowed = block == 0x80 or (proved if block == 0x92 else proved or not is_locked)
        if is_locked and block not in {0x86, 0x87, 0x92}:
            is_allowed = False
        if (block == 0 and not memory[0] & 1) or not is_allowed or block in self.refuses:
            return b"\x09" + self.idm + b"\x01\xa8"
        self.blocks[block] = content[:16]
        if block != 0x80:
            self.count += 1
        return b"\x09" + self.idm + b"\0\0"


class Pkoc:
    """A phone or card that speaks PKOC."""

    def __init__(self, secret: int = 4711) -> None:
        self.key = ec.derive_private_key(secret, ec.SECP256R1())
        self.versions = bytes.fromhex("0100")
        self.point = aliro.encoded(self.key.public_key())

    def lost(self) -> None: ...

    def target(self) -> CardTarget:
        return CardTarget(kind="iso14443a", number=RANDOM_UID, sak=0x20)

    def __call__(self, apdu: bytes) -> bytes:
        if apdu[:2] == b"\0\xa4":
            is_ours = apdu[5:13] == bytes.fromhex("A000000898000001")
            return sw(0x9000, tlv(0x5C, self.versions)) if is_ours else sw(0x6A82)
        if apdu[:2] != b"\x80\x80":
            return sw(0x6E00)
        asked = objects(apdu[5:-1])
        return sw(0x9000, tlv(0x5A, self.point) + tlv(0x9E, signed(self.key, asked[0x4C])))


def signed(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


READER = aliro.AliroReader(private_key=ec.derive_private_key(99, ec.SECP256R1()), reader_id=READER_ID)


class Aliro:
    """A phone with an Aliro credential that knows our reader."""

    proprietary = bytes.fromhex("A508800200005C020100")

    def __init__(self) -> None:
        self.key = ec.derive_private_key(31337, ec.SECP256R1())
        self.ephemeral = ec.derive_private_key(1234567, ec.SECP256R1())
        self.handshake: aliro.Handshake | None = None

    def lost(self) -> None:
        self.handshake = None

    def target(self) -> CardTarget:
        return CardTarget(kind="iso14443a", number=RANDOM_UID, sak=0x20)

    def __call__(self, apdu: bytes) -> bytes:
        if apdu[:2] == b"\0\xa4":
            if apdu[5:14] != aliro.APPLICATION:
                return sw(0x6A82)
            return sw(0x9000, tlv(0x6F, tlv(0x84, aliro.APPLICATION) + self.proprietary))
        if apdu[0] != 0x80:
            return sw(0x6E00)
        asked = objects(apdu[5:-1])
        own = aliro.encoded(self.ephemeral.public_key())
        if apdu[1] == 0x80:
            self.handshake = aliro.Handshake(
                reader_id=asked[0x4D], transaction=asked[0x4C], reader_ephemeral=asked[0x87], device_ephemeral=own
            )
            return sw(0x9000, tlv(0x86, own))
        reader = READER.private_key.public_key()
        h = self.handshake
        r, s = (int.from_bytes(half, "big") for half in (asked[0x9E][:32], asked[0x9E][32:]))
        reader.verify(utils.encode_dss_signature(r, s), h.signed(aliro.READER_KEY_USAGE), ec.ECDSA(hashes.SHA256()))
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), h.reader_ephemeral)
        kdh = aliro.shared_key(self.ephemeral, theirs, h.transaction)
        _, key = aliro.channel_keys(kdh, h.salt(aliro.encoded(reader), self.proprietary), own)
        body = tlv(0x5A, aliro.encoded(self.key.public_key()))
        body += tlv(0x9E, signed(self.key, h.signed(aliro.DEVICE_KEY_USAGE))) + tlv(0x5E, b"\0\0")
        return sw(0x9000, AESGCM(key).encrypt(bytes(7) + b"\x01\0\0\0\x01", body, b""))


def run(session, card, *, until: int | None = None):
    """Let `session` and `card` speak; the verdict. `until`: the card is gone from that exchange on."""
    command, count = session.begin(), 0
    while isinstance(command, bytes):
        answer = card(command) if until is None or count < until else None
        command, count = session.answer(answer), count + 1
    card.lost()
    return command
