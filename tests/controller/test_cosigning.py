"""Witnesses in the site file and on the controller's socket; what they sign is tried in streams/test_witnessing.py."""

from __future__ import annotations

import pytest

from controller.config import SiteFileError, parse_site
from controller.ledger.checkpoint import SigningKey
from controller.link.notes import COSIGNATURE, ED25519, Vkey
from tests.controller.conftest import SITE
from tests.controller.test_link_server import HELLO, served  # noqa: F401 - a fixture

KEY = SigningKey.from_seed(b"a made-up seed, 32 bytes of it..")
VKEY = Vkey(name="witness.example/north", algorithm=COSIGNATURE, public=KEY.public).text
LEDGERS = Vkey(name="witness.example/north", algorithm=ED25519, public=KEY.public).text


@pytest.mark.parametrize(
    "vkeys, why",
    [
        (["nonsense"], "base64|no vkey"),
        ([VKEY[:-3] + "AAA"], "changed in copying|base64|no vkey"),
        ([LEDGERS], "a ledger's key, and a witness's key is wanted"),
        ([VKEY, VKEY], "named twice"),
    ],
)
def test_a_site_file_names_witnesses_or_is_refused(tmp_path, vkeys, why):
    """A site believes for years that it has a witness, and no line of his was ever taken."""
    text = f"{SITE}\n[ledger]\nwitnesses = {vkeys!r}\n"
    with pytest.raises(SiteFileError, match=rf"site\.toml:\d+: .*({why}).*sekisho witness") as refused:
        parse_site(text, tmp_path / "site.toml")
    assert int(str(refused.value).split(":")[1]) == text[: text.index("witnesses")].count("\n") + 1
    good = parse_site(f'{SITE}\n[ledger]\nwitnesses = ["{VKEY}"]\n', tmp_path / "site.toml")
    assert good.ledger.witnesses == (VKEY,)


def test_a_flood_of_lines_is_turned_away(served):  # noqa: F811 - the fixture
    """Somebody keeps the disk's thread busy with witnesses, and badges wait."""
    asked = []
    served.server._on_cosign = lambda session, message: len(asked) < 3 and not asked.append(message)
    line = b'{"is":"ask_cosigned","id":"many"}\n'
    answers = served.peer(HELLO + line * 5).hears()
    assert [answer.get("code") for answer in answers] == [None, "busy", "busy"]
    assert len(asked) == 3
    assert served.peer(HELLO).hears()[0]["is"] == "welcome"
