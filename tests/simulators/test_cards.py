"""Simulated cards against vectors that others published, spoken to in the bytes those vectors hold."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st

from simulators.cards import crypto
from simulators.cards.channels import Ev1Channel, Ev2Channel, Refused
from simulators.cards.desfire import PICC, Application, CardKey, Desfire, StdFile
from simulators.cards.fakes import (
    FakeBlank,
    GarbageCard,
    LeavingCard,
    RecordingCard,
    ReplayingCard,
    no_application,
    wrong_keys,
)
from simulators.cards.felica import FelicaLiteS
from simulators.cards.ntag424 import Ntag424
from simulators.cards.pkoc import PkocCard
from simulators.cards.site import (
    AID,
    PURPOSES,
    SiteCards,
    blank_desfire,
    blank_ntag424,
    maker_point,
    originality,
)

H = bytes.fromhex
UID = H("04112233445566")
IDM = H("0102030405060708")
SITE = SiteCards(keys={purpose: {1: bytes((at + 1,)) * 16} for at, purpose in enumerate(PURPOSES)})


def given_random(*draws: str):
    """A source of nonces that says what the published example drew."""
    left = [H(draw) for draw in draws]
    return lambda count: left.pop(0) if left else bytes(count)


def selected_ntag(**more) -> Ntag424:
    card = Ntag424(UID, **more)
    card.activate()
    assert card.exchange(H("00a4040007d276000085010100")) == b"\x90\x00"
    return card


# -- arithmetic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, number, diversified",
    [
        ("00112233445566778899AABBCCDDEEFF", "04782E21801D803042F54E585020416275", "A8DD63A3B89D54B37CA802473FDA9175"),
        ("f3f9377698707b688eaf84abe39e3791", "04deadbeeffeed", "0bb408baff98b6ee9f2e1585777f6a51"),
    ],
)
def test_diversified_keys_are_an10922s(key, number, diversified):
    """Simulated cards would only open to a product with the same mistake."""
    assert crypto.an10922(H(key), H(number)) == H(diversified)


def test_full_length_input_of_31_bytes_takes_the_other_subkey():
    """The one length at which AN10922 pads nothing must not be treated like the others."""
    assert crypto.an10922(bytes(16), bytes(31)) == crypto.cmac("aes", bytes(16), b"\x01" + bytes(31))


@pytest.mark.parametrize(
    "nonce_a, nonce_b, enc, mac",
    [
        (
            "13C5DB8A5930439FC3DEF9A4C675360F",
            "B9E2FC789B64BF237CCCAA20EC7E6E48",
            "1309C877509E5A215007FF0ED19CA564",
            "4C6626F5E72EA694202139295C7A7FC7",
        ),
        (
            "B04D0787C93EE0CC8CACC8E86F16C6FE",
            "FA659AD0DCA738DD65DC7DC38612AD81",
            "63DC07286289A7A6C0334CA31C314A04",
            "774F26743ECE6AF5033B6AE8522946F6",
        ),
    ],
)
def test_ev2_session_keys(nonce_a, nonce_b, enc, mac):
    """AN12196 table 14, AN12343 page 33: a session with other keys is no session."""
    assert crypto.ev2_session_keys(bytes(16), H(nonce_a), H(nonce_b)) == (H(enc), H(mac))


MAC_MODE = [
    ("8D", 0, "00000000190000" + "22" * 25, "68F2C28C575A1628"),
    ("00", 1, "", "0820F68898C2A7F1"),
    ("AD", 1, "00000000300000", "0D9BE191D5960834"),
    ("00", 2, "22" * 25 + "00" * 23, "A49A44222D926666"),
]


@pytest.mark.parametrize("lead, counter, body, mac", MAC_MODE)
def test_ev2_macs_of_the_published_conversation(lead, counter, body, mac):
    """AN12343 page 54: commands as the card checks them, answers as it makes them."""
    keys = (bytes(16), H("9366FA195EB566F5BD2BAD4020B83002"))
    channel = Ev2Channel(0, H("E2D3AF69"), keys, counter if lead != "00" else counter - 1)
    if lead == "00":
        assert channel.outgoing(H(body), "mac") == H(body) + H(mac)
    else:
        assert channel.incoming(H(lead)[0], H(body[:14]), H(body[14:] + mac), "mac") == H(body[14:])


@pytest.mark.parametrize(
    "key, identifier, counter, iv",
    [
        ("66A8CB93269DC9BC2885B7A91B9C697B", "ED56F6E6", 0, "DA0F644A4986275957CF1EC3AF4CCE53"),
        ("445A8626B3338459321232FADF6ADE2B", "11223344", 5, "177494FCC4F1DAB2AFBE8FAE2057A9D2"),
    ],
)
def test_ev2_command_ivs(key, identifier, counter, iv):
    """proxmark3's vectors: a wrong IV deciphers the first block into noise."""
    channel = Ev2Channel(0, H(identifier), (H(key), bytes(16)), counter)
    assert channel._iv(b"\xa5\x5a") == H(iv)


def test_ev1_sample():
    """The one published EV1 nonce."""
    card = Desfire(UID, picc_key=CardKey(), random=given_random("c05ddd714fd788a6b7b754f3c4d066e8"))
    assert card.exchange(H("AA00")) == H("AF" + "b969fdfe56fd91fc9de6f6f213b8fd1e")


# -- NTAG 424 DNA, AN12196 -----------------------------------------------------------------------------------------


def test_ntag_authenticates_and_changes_settings_as_published():
    """AN12196 §6.1 and table 14, the card's half: a reader that follows NXP's note must be understood."""
    card = selected_ntag(random=given_random("B9E2FC789B64BF237CCCAA20EC7E6E48", "9D00C4DF"))
    assert card.exchange(H("9071000002000000")) == H("A04C124213C186F22399D33AC2A30215" + "91AF")
    second = "35C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D"
    answer = H("3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100")
    assert card.exchange(H("90AF000020" + second + "00")) == answer
    card._channel.counter = 1  # the published conversation had one command before
    assert card.exchange(H("905F0000190261B6D97903566E84C3AE5274467E89EAD799B7C1A0EF7A0400"))[-2:] == b"\x91\x00"
    assert card.files[2].settings[:4] == H("004000E0")[:1] + H("40") + H("00E0")
    assert card.files[2].mirror == H("C1F121200000430000430000")


def test_ntag_takes_the_published_write():
    """AN12196 §6.12: the enciphered write arrives, the answer carries the published MAC."""
    card = selected_ntag(files={3: StdFile(mode=3, access=(0, 0, 0, 0), content=bytearray(128))})
    keys = (H("7A93D6571E4B180FCA6AC90C9A7488D4"), H("FC4AF159B62E549B5812394CAB1918CC"))
    card._channel = Ev2Channel(0, H("7614281A"), keys)
    sent = "908D00001F030000000A00006B5E6804909962FC4E3FF5522CF0F8436C0C53315B9C73AA00"
    assert card.exchange(H(sent)) == H("C26D236E4A7C046D" + "9100")
    assert card.files[3].content[:10] == H("0102030405060708090A")


def test_ntag_knows_nothing_before_its_application():
    """A reader that forgets SELECT would only fail on the wall."""
    card = Ntag424(UID)
    card.activate()
    assert card.exchange(H("9071000002000000")) == H("9140")
    assert card.exchange(H("90F50000010300")) == H("911C")
    assert card.exchange(H("00a4040007d276000085010000")) == H("6A82")


def test_sun_message_is_the_published_one():
    """AN12196 tables 2 and 4: PICC data and MAC of a mirrored message."""
    secret = H("C704DE5F1EACC0403D0000DA5CF60941")
    assert crypto.encrypt("aes", bytes(16), bytes(16), secret) == H("EF963FF7828658A599F3041510671E88")
    file = StdFile(mode=0x40, access=(0xE, 0, 0, 0), content=bytearray(b"-" * 80), mirror=H("C1F000000000300000300000"))
    card = Ntag424(H("04DE5F1EACC040"), files={2: file}, random=given_random("DA5CF60941"))
    card.reads = 0x3C
    card.activate()
    card.exchange(H("00a4040007d276000085010100"))
    assert card.exchange(H("00a4000c02e10400")) == b"\x90\x00"
    shown = card.exchange(H("00b0000050"))
    assert shown[:32] == b"EF963FF7828658A599F3041510671E88"
    assert shown[48:64] == b"94EED9EE65337086"


def test_ntag_takes_the_published_mac_of_a_question():
    """AN12196 §5.3: GetFileSettings in MAC mode, as the card checks it."""
    channel = Ev2Channel(0, H("7A21085E"), (bytes(16), H("8248134A386E86EB7FAF54A52E536CB6")))
    assert channel.incoming(0xF5, b"\x02", H("6597A457C8CD442C"), "mac") == b""


def test_published_answers_of_other_files_decipher():
    """AN12343 pages 64 and 83: IVs late in a session, both ways."""
    late = Ev2Channel(0, H("2D0611EC"), (H("78240CC5596B751D90023827B0B7E73D"), bytes(16)), 1)
    late.counter += 1
    plain = H("BDD40ED9F434F9DDCBF5821299CD2119")
    assert crypto.encrypt("aes", late._encipher, late._iv(b"\x5a\xa5"), plain) == H("A1963F1BB9FC916A8B15B2DC58002531")
    channel = Ev2Channel(0, H("B350F7C9"), (H("CFD5F757E422144FE831842694AF69AF"), bytes(16)), 1)
    sent = H("E64CF1262C6B798B95C950FD7353EA8764B1F4F4C69C4068F513715C486E18B3")
    mac = channel._maced(0xCE, sent)
    assert channel.incoming(0xCE, b"", sent + mac, "full") == H("F7D23E0C44AFADE542BFDF2DC5C6AE0200")


# -- DESFire, AN12343 ----------------------------------------------------------------------------------------------


def in_session(identifier: str, enc: str, mac: str, **more) -> Desfire:
    file = StdFile(mode=3, access=(0, 0, 0, 0), content=bytearray(64))
    home = Application(keys=[CardKey()] * 3, files={0: file, 1: file})
    card = Desfire(more.pop("uid", UID), applications={AID: home}, **more)
    card.activate()
    assert card.exchange(b"\x5a" + AID) == b"\x00"
    card._channel = Ev2Channel(0, H(identifier), (H(enc), H(mac)))
    return card


def test_desfire_takes_the_published_write():
    """AN12343: WriteData in full protection, as NXP wrote it down."""
    card = in_session("CD73D8E5", "FFBCFE1F41840A09C9A88D0A4B10DF05", "37E7234B11BEBEFDE41A8F290090EF80")
    sent = "908D00002F00000000190000D7446FBC912580C0A65E738D28B609E43ADBB8FB2B4CA68744D1BBEBB37EBD32700ADF7BB9F62A6C00"
    assert card.exchange(H(sent))[-2:] == b"\x91\x00"
    assert card.applications[AID].files[0].content[:25] == b"\x22" * 25


def test_desfire_tells_its_uid_as_published():
    """AN12343 pages 15 to 17: the enciphered UID and its MAC."""
    session = ("569D4B24", "C1D7BD9F60034D8432F9AF3403D573D0", "FD9E26C9766F07C1D07106C0F8F3671F")
    card = in_session(*session, uid=H("04DE5F1EACC040"))
    mac = crypto.short_mac(crypto.cmac("aes", H(session[2]), H("510000" + session[0])))
    answer = card.exchange(H("90510000 08") + mac + b"\x00")
    assert answer == H("CDFFBF6D34231DA2789DA9D3AB15D560" + "CE75E39EDBE94C2F" + "9100")


@pytest.mark.parametrize("at", range(5, 52))
def test_one_flipped_bit_is_an_integrity_error_and_ends_the_session(at):
    """A tampered command must not be carried out, not even in part."""
    card = in_session("CD73D8E5", "FFBCFE1F41840A09C9A88D0A4B10DF05", "37E7234B11BEBEFDE41A8F290090EF80")
    sent = bytearray(
        H("908D00002F00000000190000D7446FBC912580C0A65E738D28B609E43ADBB8FB2B4CA68744D1BBEBB37EBD32700ADF7BB9F62A6C00")
    )
    sent[at] ^= 0x01
    answer = card.exchange(bytes(sent))
    assert answer[-2] == 0x91
    assert answer[-1] in (0x1E, 0x7E, 0xBE, 0xF0, 0xAF)
    if answer[-1] != 0xAF:  # a longer write was announced: more is to come, and nothing is written
        assert card.exchange(H("9060000000"))[-1] == 0xAF
    assert not any(card.applications[AID].files[0].content)


# -- FeliCa Lite-S, PKOC -------------------------------------------------------------------------------------------

CK, RC = H("37363534333231306665646362613938"), H("07060504030201000f0e0d0c0b0a0908")


def lite(**more) -> FelicaLiteS:
    card = FelicaLiteS(IDM, card_key=CK, **more)
    assert card.exchange(b"\x08" + IDM + H("0109000180 80".replace(" ", "")) + RC) == b"\x09" + IDM + b"\x00\x00"
    return card


def test_lite_s_macs_are_those_of_nfcpys_tests():
    """nfcpy's recorded card: MAC over ID, MAC over STATE, MAC_A of a write."""
    card = lite()
    said = card.exchange(b"\x06" + IDM + H("010b000280828081"))
    assert said[:12] == b"\x07" + IDM + H("000002")
    assert said[12:36] == IDM + bytes(8) + H("91aec5b6d9b3b12d")
    card.writes = 0xFFFE00
    content = b"\x01" + bytes(15) + H("17c19e3bbdc3e8bd00feff") + bytes(5)
    assert card.exchange(b"\x08" + IDM + H("0109000280928091") + content) == b"\x09" + IDM + b"\x00\x00"
    state = card.exchange(b"\x06" + IDM + H("010b000280928081"))
    assert state[12:36] == b"\x01" + bytes(15) + H("bd73eb7294a00279")
    card.field_lost()
    assert card.exchange(b"\x06" + IDM + H("010b00018092"))[12] == 0, "authentication must end with the field"


def test_lite_s_refuses_a_wrong_mac_and_a_locked_key():
    """A key that anybody may overwrite is nobody's."""
    card = lite(is_locked=True)
    for block in (0x87, 0x86, 0x88, 0x82):
        wanted = b"\x08" + IDM + H(f"0109000180{block:02x}") + bytes(16)
        assert card.exchange(wanted) == b"\x09" + IDM + H("01A8")
    bad = b"\x08" + IDM + H("0109000280928091") + b"\x01" + bytes(15) + bytes(16)
    assert card.exchange(bad) == b"\x09" + IDM + H("02B2")
    assert card.blocks[0x87] == CK


def test_lite_s_never_shows_its_key():
    """CK reads as zeros."""
    assert lite().exchange(b"\x06" + IDM + H("010b00018087"))[12:] == bytes(16)


def pkoc_authenticates(card: PkocCard, transaction: bytes, version: str = "0100") -> bytes:
    body = H("5c02" + version + "4c10") + transaction + H("4d20") + bytes(32)
    return card.exchange(H("80800001") + bytes((len(body),)) + body + b"\x00")


def test_pkoc_signs_the_transaction_identifier_only():
    """PSIA's worked example hashes the sixteen bytes and nothing else."""
    card = PkocCard(b"misaki")
    card.activate()
    transaction = H("6FCF5012B224043B09350A4FC5E56A8F")
    assert pkoc_authenticates(card, transaction) == H("6985"), "not before SELECT"
    assert card.exchange(H("00A4040008A00000089800000100")) == H("5C0201009000")
    said = pkoc_authenticates(card, transaction)
    assert (said[:2], said[67:69], said[-2:]) == (H("5A41"), H("9E40"), H("9000"))
    signature = utils.encode_dss_signature(int.from_bytes(said[69:101]), int.from_bytes(said[101:133]))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), said[2:67])
    public.verify(signature, transaction, ec.ECDSA(hashes.SHA256()))
    assert said[3:35] == card.credential


@pytest.mark.parametrize(
    "sent, answered",
    [
        ("00A4040007D276000085010100", "6A82"),
        ("80800001005c0201004c10", "6A80"),
        ("808000010000", "6A80"),
        ("80", "6700"),
        ("84800001020000", "6E00"),
    ],
)
def test_pkoc_refuses_what_is_not_its_own(sent, answered):
    """A reader that asks wrongly must hear so."""
    card = PkocCard(b"misaki", uid=UID)
    card.activate()
    card.exchange(H("00A4040008A00000089800000100"))
    assert card.exchange(H(sent)) == H(answered)


def test_pkoc_credentials_are_cut_from_x_as_published():
    """PSIA's example: 64 and 75 bits are the low ones of X."""
    x = int.from_bytes(H("0EC5D87DC39D14A2C5480686DA860C82B16BE0B6903B525F84848B79FD463E32"))
    assert (x & (1 << 64) - 1).to_bytes(8) == H("84848B79FD463E32")
    assert (x & (1 << 75) - 1).to_bytes(10) == H("025F84848B79FD463E32")
    card = PkocCard(b"misaki")
    assert card.credential == card.public_point[1:33]


def test_pkoc_refuses_another_version():
    """6985 tells a reader that it is too new or too old."""
    card = PkocCard(b"misaki")
    card.activate()
    card.exchange(H("00A4040008A00000089800000100"))
    assert pkoc_authenticates(card, bytes(16), "0200") == H("6985")


# -- what cards are in the world -----------------------------------------------------------------------------------


def test_random_uid_is_new_at_each_time_in_a_field():
    """A phone that always shows the same number would let a reader lean on it."""
    card = SITE.desfire(UID, is_uid_random=True)
    seen = set()
    for _ in range(5):
        card.activate()
        seen.add(card.uid)
        assert UID not in card.exchange(H("9060000000")) + card.exchange(H("90af000000")) + card.exchange(
            H("90af000000")
        )
        card.field_lost()
    assert len(seen) == 5
    assert all(uid[:1] == b"\x08" and len(uid) == 4 for uid in seen)


def test_issued_cards_stand_as_the_layout_says():
    """docs/wire/cards.md: application, three keys with the site's versions, one enciphered file."""
    card = SITE.desfire(UID)
    card.activate()
    assert card.exchange(b"\x5a" + AID) == b"\x00"
    assert [card.exchange(bytes((0x64, number))) for number in range(3)] == [b"\x00\x01"] * 3
    assert card.exchange(H("F501")) == H("0000030020200000")
    assert card.exchange(H("45")) == H("000B83")
    uid_keys = {SITE.desfire(uid).application_keys[AID][1].value for uid in (UID, H("04000000000001"))}
    assert len(uid_keys) == 1, "the key that only tells the UID is the same on every card"


def test_blank_card_has_zeros_and_nothing_else():
    """Personalisation begins at what the shop sends."""
    card = blank_desfire(UID)
    card.activate()
    assert card.exchange(H("6A")) == b"\x00"
    assert card.exchange(H("45")) == H("000F01")
    assert card.exchange(H("AA00")) == H("AE"), "its key is DES"
    assert card.exchange(H("0A00"))[:1] == H("AF")
    assert {key.value for key in blank_ntag424(UID).keys} == {bytes(16)}


def test_originality_signature_verifies_for_its_own_uid_only():
    """Complaint 12: what tells a real blank from a fake before a key is used."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP224R1(), maker_point())
    card = blank_desfire(UID)
    card.activate()
    said = card.exchange(H("3C00"))
    assert said[:1] == b"\x00"
    signature = utils.encode_dss_signature(int.from_bytes(said[1:29]), int.from_bytes(said[29:57]))
    check = ec.ECDSA(utils.Prehashed(hashes.SHA224()))
    public.verify(signature, UID.rjust(28, b"\x00"), check)
    assert originality(H("04000000000001")) != said[1:]


def test_fakes_do_what_they_are_for():
    """An attack test that is foiled by a clumsy fake shows nothing."""
    fake = FakeBlank(UID)
    assert fake.exchange(H("90C40000 19".replace(" ", "")) + bytes(25) + b"\x00") == H("9100")
    assert fake.heard[0][1] == 0xC4
    clone = wrong_keys(UID)
    clone.activate()
    assert clone.exchange(b"\x5a" + AID) == b"\x00"
    assert clone.exchange(H("AA02"))[:1] == H("AF")
    other = no_application(UID)
    assert other.exchange(b"\x5a" + AID) == H("A0")


def test_leaving_replaying_and_babbling_cards():
    """Cards taken away too soon, recorded, or broken: each must show its fault, and be well again after."""
    leaving = LeavingCard(SITE.desfire(UID), 1)
    leaving.activate()
    assert leaving.exchange(b"\x5a" + AID) == b"\x00"
    assert leaving.exchange(H("AA02")) is None
    leaving.activate()
    assert leaving.exchange(b"\x5a" + AID) == b"\x00"
    recording = RecordingCard(SITE.desfire(UID))
    recording.activate()
    heard = [recording.exchange(b"\x5a" + AID), recording.exchange(H("AA02"))]
    replaying = ReplayingCard(UID, recording.transcript)
    replaying.activate()
    assert [replaying.exchange(b"\x5a" + AID), replaying.exchange(H("AA02"))] == heard
    assert GarbageCard(SITE.desfire(UID), lambda _c, a: a[::-1]).exchange(H("AA02")) != heard[1]


# -- bad input -----------------------------------------------------------------------------------------------------

CARDS = {
    "ev1": lambda: SITE.desfire(UID, generation="ev1"),
    "ev2": lambda: SITE.desfire(UID),
    "blank": lambda: blank_desfire(UID),
    "ntag424": lambda: SITE.ntag424(UID),
    "pkoc": lambda: PkocCard(b"misaki"),
    "felica": lambda: SITE.felica(IDM),
    "fake": lambda: FakeBlank(UID),
}
LEADS = [
    H("90"),
    H("9071000002000000"),
    H("90AF0000"),
    H("00A40400"),
    H("80800001"),
    H("5A") + AID,
    H("AA00"),
    H("0A00"),
]
COMMANDS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda lead, rest: lead + rest, st.sampled_from([*LEADS, b"\x06" + IDM, b"\x08" + IDM]), st.binary(max_size=40)
    ),
    st.builds(
        lambda ins, body: bytes((0x90, ins, 0, 0, len(body))) + body + b"\x00",
        st.integers(0, 255),
        st.binary(max_size=40),
    ),
)


@pytest.mark.parametrize("kind", CARDS)
@given(commands=st.lists(COMMANDS, max_size=12))
def test_junk_never_crashes_a_card_nor_opens_it(kind, commands):
    """A simulated card that dies, or believes a guess, would test nothing."""
    card = CARDS[kind]()
    card.activate()
    card.exchange(H("00A4040007D276000085010100"))
    for command in commands:
        answer = card.exchange(command)
        assert answer is None or isinstance(answer, bytes)
    assert getattr(card, "_channel", None) is None
    card.field_lost()


@given(st.binary(max_size=80), st.sampled_from(["plain", "mac", "full", "key"]))
def test_junk_never_passes_a_channel(body, how):
    """A session must refuse, not raise something else."""
    for channel in (Ev1Channel(0, "aes", bytes(16)), Ev2Channel(0, bytes(4), (bytes(16), bytes(16)))):
        with contextlib.suppress(Refused):
            channel.incoming(0x3D, body[:7], body[7:], how)


def test_session_ends_with_the_field():
    """A card that stays open after it left would be open for the next reader."""
    card = in_session("CD73D8E5", "FFBCFE1F41840A09C9A88D0A4B10DF05", "37E7234B11BEBEFDE41A8F290090EF80")
    card.field_lost()
    card.activate()
    assert card._channel is None
    assert card.exchange(H("F501")) == H("F0"), "and the card's own level is selected again"
    assert PICC in card.applications
