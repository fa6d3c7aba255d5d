"""Published card vectors, none of them ours: 46 checks: source, what our functions make, what it is.

Sources. AN10922, AN10957: NXP application notes, as libfreefare's tests quote them. AN12196 (NTAG 424 DNA) and AN12343
(DESFire Light): NXP, as quoted by icedevml's ntag424 code, TalkToYourDESFireCard, Amperstrand's ntag424-vectors and
proxmark3's desfiretest.c. FeliCa Lite-S: nfcpy's test_tag_tt3_sony.py. PKOC 1.1: PSIA's worked example, as quoted by
Z-bit's AsymCred tests. Aliro: the Connectivity Standards Alliance's aliro-actuator, testvectors.py.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import serialization

from readers.cards import aliro, pkoc, sdm
from readers.cards.aes import AesKey, padded, rotated
from readers.cards.apdu import objects
from readers.cards.diversify import diversified
from readers.cards.ev2 import COMMAND, RESPONSE, Ev2Session, Mode, session_keys, truncated
from readers.cards.felica_mac import FelicaMacs

H = bytes.fromhex
Z = bytes(16)
VECTORS: list[tuple[str, bytes, bytes]] = []


def row(name: str, made: bytes, published: str) -> None:
    VECTORS.append((name, made, H(published)))


def part2(key: bytes, enciphered: bytes, rnd_a: bytes) -> tuple[bytes, bytes]:
    rnd_b = AesKey(key).decrypt(enciphered)
    return rnd_b, AesKey(key).encrypt(rnd_a + rotated(rnd_b))


def session(enc: str, transaction: str, counter: int, mac: str = "00" * 16) -> Ev2Session:
    return Ev2Session(H(enc), H(mac), H(transaction), counter)


# -- AN10922, AN10957 --------------------------------------------------------------------------------------------------
K, M = H("00112233445566778899AABBCCDDEEFF"), H("04782E21801D803042F54E585020416275")
row("AN10922 s2.2.1 AES-128", diversified(K, M), "A8DD63A3B89D54B37CA802473FDA9175")
row(
    "AN10957 p13-14 AES-128, short input",
    diversified(H("f3f9377698707b688eaf84abe39e3791"), H("04deadbeeffeed")),
    "0bb408baff98b6ee9f2e1585777f6a51",
)
row(
    "AN10922 AES-192",
    diversified(K + H("0102030405060708"), M),
    "CE39C8E1CD82D9A7BEDBE9D74AF59B23176755EE7586E12C",
)
row(
    "AN10922 AES-256",
    diversified(K + H("0102030405060708090A0B0C0D0E0F00"), M),
    "4FC6EEC820B4C54314990B8611662DB695E7880982C0001E6067488346100AED",
)

# -- AN12196: NTAG 424 DNA ---------------------------------------------------------------------------------------------
ra = H("13C5DB8A5930439FC3DEF9A4C675360F")
rb, token = part2(Z, H("A04C124213C186F22399D33AC2A30215"), ra)
row("AN12196 T14 RndB", rb, "B9E2FC789B64BF237CCCAA20EC7E6E48")
row("AN12196 T14 part 2", token, "35C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D")
said = AesKey(Z).decrypt(H("3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F08120663"))
row("AN12196 T14 TI and RndA'", said[:20], "9D00C4DF" + rotated(ra).hex())
enc, mac = session_keys(Z, ra, rb)
row("AN12196 T14 KSesAuthENC", enc, "1309C877509E5A215007FF0ED19CA564")
row("AN12196 T14 KSesAuthMAC", mac, "4C6626F5E72EA694202139295C7A7FC7")
row(
    "AN12196 ChangeFileSettings FULL",
    Ev2Session(enc, mac, H("9D00C4DF"), 1).command(Mode.FULL, 0x5F, b"\x02", H("4000E0C1F121200000430000430000")),
    "905F0000190261B6D97903566E84C3AE5274467E89EAD799B7C1A0EF7A0400",
)
ra = H("B98F4C50CF1C2E084FD150E33992B048")
rb, token = part2(Z, H("B875CEB0E66A6C5CD00898DC371F92D1"), ra)
row("AN12196 6.10 part 2", token, "FF0306E47DFBC50087C4D8A78E88E62DE1E8BE457AA477C707E2F0874916A8B1")
enc, mac = session_keys(Z, ra, rb)
row("AN12196 6.10 keys", enc + mac, "7A93D6571E4B180FCA6AC90C9A7488D4FC4AF159B62E549B5812394CAB1918CC")
row(
    "AN12196 6.12 WriteData FULL",
    Ev2Session(enc, mac, H("7614281A")).command(Mode.FULL, 0x8D, H("030000000A0000"), H("0102030405060708090A")),
    "908D00001F030000000A00006B5E6804909962FC4E3FF5522CF0F8436C0C53315B9C73AA00",
)
row("AN12196 6.12 response MAC", Ev2Session(enc, mac, H("7614281A"), 1).mac_over(0, b""), "C26D236E4A7C046D")
row(
    "AN12196 5.3 GetFileSettings CMAC",
    session("00" * 16, "7A21085E", 0, "8248134A386E86EB7FAF54A52E536CB6").mac_over(0xF5, b"\x02"),
    "6597A457C8CD442C",
)

# -- AN12343: DESFire Light --------------------------------------------------------------------------------------------
row(
    "AN12343 WriteData FULL",
    session("FFBCFE1F41840A09C9A88D0A4B10DF05", "CD73D8E5", 0, "37E7234B11BEBEFDE41A8F290090EF80").command(
        Mode.FULL, 0x8D, H("00000000190000"), b"\x22" * 25
    ),
    "908D00002F00000000190000D7446FBC912580C0A65E738D28B609E43ADBB8FB2B4CA68744D1BBEBB37EBD32700ADF7BB9F62A6C00",
)
uid = session("C1D7BD9F60034D8432F9AF3403D573D0", "569D4B24", 1, "FD9E26C9766F07C1D07106C0F8F3671F")
row(
    "AN12343 p15-17 GetCardUID",
    uid.decipher(H("CDFFBF6D34231DA2789DA9D3AB15D560")),
    "04DE5F1EACC040800000000000000000",
)
row("AN12343 GetCardUID MAC", uid.mac_over(0, H("CDFFBF6D34231DA2789DA9D3AB15D560")), "CE75E39EDBE94C2F")
row("AN12343 p16 truncation", truncated(H("ED5CB7A932EF8D7C2E91B42A1139F11B")), "5CA9EF7C912A391B")
row(
    "AN12343 p83-85 CreateTMACFile",
    session("CFD5F757E422144FE831842694AF69AF", "B350F7C9", 1).encipher(H("F7D23E0C44AFADE542BFDF2DC5C6AE02") + b"\0"),
    "E64CF1262C6B798B95C950FD7353EA8764B1F4F4C69C4068F513715C486E18B3",
)
row(
    "AN12343 p64 TMRI",
    session("78240CC5596B751D90023827B0B7E73D", "2D0611EC", 2).decipher(H("A1963F1BB9FC916A8B15B2DC58002531")),
    "BDD40ED9F434F9DDCBF5821299CD2119",
)
row(
    "AN12343 p33-34 session keys",
    b"".join(session_keys(Z, H("B04D0787C93EE0CC8CACC8E86F16C6FE"), H("FA659AD0DCA738DD65DC7DC38612AD81"))),
    "63DC07286289A7A6C0334CA31C314A04774F26743ECE6AF5033B6AE8522946F6",
)
row(
    "proxmark3 EV2 IV, counter 0",
    session("66A8CB93269DC9BC2885B7A91B9C697B", "ED56F6E6", 0).iv(COMMAND),
    "DA0F644A4986275957CF1EC3AF4CCE53",
)
row(
    "proxmark3 EV2 IV, counter 5",
    session("445A8626B3338459321232FADF6ADE2B", "11223344", 5).iv(COMMAND),
    "177494FCC4F1DAB2AFBE8FAE2057A9D2",
)
for name, counter, first, body, published in (
    ("tx WriteData", 0, 0x8D, "00000000190000" + "22" * 25, "68F2C28C575A1628"),
    ("rx", 1, 0x00, "", "0820F68898C2A7F1"),
    ("tx ReadData", 1, 0xAD, "00000000300000", "0D9BE191D5960834"),
    ("rx ReadData", 2, 0x00, "22" * 25 + "00" * 23, "A49A44222D926666"),
):
    maced = session("00" * 16, "E2D3AF69", counter, "9366FA195EB566F5BD2BAD4020B83002")
    row(f"AN12343 p54 MAC {name}", maced.mac_over(first, H(body)), published)

# -- SDM / SUN ---------------------------------------------------------------------------------------------------------
row(
    "AN12196 T2 PICCData",
    AesKey(Z).decrypt(H("EF963FF7828658A599F3041510671E88")),
    "C704DE5F1EACC0403D0000DA5CF60941",
)
sun = sdm.picc_content(Z, H("EF963FF7828658A599F3041510671E88"))
assert sun is not None
row("AN12196 T4 KSesSDMFileReadMAC", sdm.file_keys(Z, sun)[1], "3FB5F6E3A807A03D5E3570ACE393776F")
row("AN12196 T4 SUN MAC", truncated(AesKey(sdm.file_keys(Z, sun)[1]).cmac(b"")), "94EED9EE65337086")
row(
    "AN12196 T1 SV1 and SV2",
    b"".join(
        sdm.file_keys(H("5ACE7E50AB65D5D51FD5BF5A16B8205B"), sdm.Sun(number=H("04C767F2066180"), counter=1)),
    ),
    "66da61797e23deca5d8eca13bbadf7a93a3e8110e05311f7a3fcf0d969bf2b48",
)

# -- DESFire EV1 -------------------------------------------------------------------------------------------------------
row("EV1 AES RndB", AesKey(Z).decrypt(H("b969fdfe56fd91fc9de6f6f213b8fd1e")), "c05ddd714fd788a6b7b754f3c4d066e8")

# -- FeliCa Lite-S -----------------------------------------------------------------------------------------------------
lite = FelicaMacs(H("37363534333231306665646362613938"), H("07060504030201000f0e0d0c0b0a0908"))
row("Lite MAC over ID", lite.mac(H("01020304050607080000000000000000")), "91aec5b6d9b3b12d")
row("Lite MAC over STATE", lite.mac(b"\x01" + bytes(15)), "bd73eb7294a00279")
row("Lite-S MAC_A of a write to STATE", lite.mac_a_write(H("00feff"), 0x92, b"\x01" + bytes(15)), "17c19e3bbdc3e8bd")

# -- PKOC --------------------------------------------------------------------------------------------------------------
PKOC_TRANSACTION = H("6FCF5012B224043B09350A4FC5E56A8F")
PKOC_READER = H("7A25432A462D4A404E635266556A586EDFEE8022966311EDA1EB0242AC120002")
PKOC_KEY = H(
    "040EC5D87DC39D14A2C5480686DA860C82B16BE0B6903B525F84848B79FD463E32"
    "BBDA1F0252C33503C5287035E6EAC55D138D0650DCFB5281D59A9CF4124D2831"
)
PKOC_SIGNATURE = H(
    "B98613070C78010B04ED306D143F94EE6DC4ECA2585B621405731FB3A53CD877"
    "A21685DE18435DA7CBCC38F1D926300A454EFEE3594CEC5EFFE28C7FEAC03D7D"
)
row(
    "PKOC AUTHENTICATE",
    pkoc.authenticate(PKOC_TRANSACTION, PKOC_READER),
    "80800001385c0201004c106fcf5012b224043b09350a4fc5e56a8f4d20"
    "7a25432a462d4a404e635266556a586edfee8022966311eda1eb0242ac12000200",
)
pkoc_point = pkoc.point(PKOC_KEY)
assert pkoc_point is not None
assert pkoc.is_signed(pkoc_point, PKOC_SIGNATURE, PKOC_TRANSACTION)
row(
    "PKOC signs the transaction id only",
    hashlib.sha256(PKOC_TRANSACTION).digest(),
    "40ca58e5631e24eaf965cb1a9225e51f9b9172e06b3eda1e54e36d3edce47808",
)
row("PKOC 64 bit credential", pkoc.credential(PKOC_KEY[1:33], 64), "84848B79FD463E32")
row("PKOC 75 bit credential", pkoc.credential(PKOC_KEY[1:33], 75), "025F84848B79FD463E32")

# -- Aliro -------------------------------------------------------------------------------------------------------------
ALIRO_EPHEMERAL = serialization.load_pem_private_key(
    b"""-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPA90EUzSoCHoBm77
qjHbuX7wBUJyGSYG/ZZjOgT2YhShRANCAASWlq/jPeWLfTJT0cuobRQUfBbUVeii
c3OzjUVK8htw514T68bVV0O6am/8TtN6VVFak0b9rjEfYL4wQh+m3GHF
-----END PRIVATE KEY-----""",
    None,
)
ALIRO_READER = serialization.load_pem_public_key(
    b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEti2bj0lPL0Ogen236WWGXQT+6r5O
nDuKL1pUTuKpxg/YZ1x7PMoOAHDbuZnZ0R9ntFFyR0UuyTHu9R8EcZQXKg==
-----END PUBLIC KEY-----"""
)
ALIRO_DEVICE = H(
    "045d75ab60136a2c54ff27b799ee157f3f3329435c0df608de904c920ac29f72bd"
    "4274c2edc810a93e240bf5d6394a92c9766b690b2bf5128ae70d6e29257ea786"
)
ALIRO = aliro.Handshake(
    reader_id=H("00112233445566778899aabbccddeeffffeeddccbbaa99887766554433221100"),
    transaction=H("4165a83667ad0af5ab115247424822e0"),
    reader_ephemeral=aliro.encoded(ALIRO_EPHEMERAL.public_key()),
    device_ephemeral=ALIRO_DEVICE,
)
ALIRO_READER_SIGNATURE = H(
    "9398c312ba3dbe29b0e11eda23134a24228ffdda61e65596e83b512677ab4efe"
    "ecd4c2743c7faa0c1ec25df32605f9071dee8fce4ebb4bc160dff1c6d0050dcb"
)
ALIRO_SEALED = H(
    "caae4770217ae51fb1233d35df9fe1332544aba253b1388f422b720d546f828fcb85b3da5b27f91570d99ba2b05c6c537064c2c57fc006a6"
    "8250c79a260dcda80d9aba17253bc1f51851fda58f8ef70b279653772a2b2a0bab4fc533d6d0359959c99420a127f80b89198a3b045109ec"
    "fe704d007d45f265703cdee749571822016458ea1c7af33a6393dd1b106f5e1a29fd0c3ebd36de4e"
)
row(
    "Aliro AUTH1 reader signature",
    bytes((pkoc.is_signed(ALIRO_READER, ALIRO_READER_SIGNATURE, ALIRO.signed(aliro.READER_KEY_USAGE)),)),
    "01",
)
device_point = pkoc.point(ALIRO_DEVICE)
assert device_point is not None
kdh = aliro.shared_key(ALIRO_EPHEMERAL, device_point, ALIRO.transaction)
row("Aliro Kdh", kdh, "cd227f01f917ad1dd5252db51c5ad3da1c3028be750a0f4e69c6a5624fca271c")
salt = ALIRO.salt(aliro.encoded(ALIRO_READER), H("a508800200005c020100"))
row(
    "Aliro salt",
    salt,
    "b62d9b8f494f2f43a07a7db7e965865d04feeabe4e9c3b8a2f5a544ee2a9c60f566f6c6174696c652a2a2a2a"
    "00112233445566778899aabbccddeeffffeeddccbbaa998877665544332211005e5c020100"
    "9696afe33de58b7d3253d1cba86d14147c16d455e8a27373b38d454af21b70e7"
    "4165a83667ad0af5ab115247424822e00001a508800200005c020100",
)
reader_key, device_key = aliro.channel_keys(kdh, salt, ALIRO_DEVICE)
row(
    "Aliro ExchangeSKReader and ExchangeSKDevice",
    reader_key + device_key,
    "f06ab1499102ca96f75cfa6d2e42c7920382d05a22e959325a91eb3aa4d71ce8"
    "de82f4f94575da8369febd52dea94ec3dadad6d4406a9efe76098d6a22a8fd5d",
)
clear = aliro.opened(device_key, ALIRO_SEALED) or b""
row("Aliro AUTH1 response opens", clear[:2], "5a41")
found = objects(clear) or {}
device_static = pkoc.point(found[0x5A])
assert device_static is not None
row(
    "Aliro AUTH1 device signature",
    bytes((pkoc.is_signed(device_static, found[0x9E], ALIRO.signed(aliro.DEVICE_KEY_USAGE)),)),
    "01",
)

assert padded(b"") == b"\x80" + bytes(15)
assert RESPONSE != COMMAND
