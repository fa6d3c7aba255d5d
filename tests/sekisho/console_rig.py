"""What the tests of `sekisho card` and `sekisho devices` share: simulated wires, and a running site behind a socket."""

from __future__ import annotations

import argparse
import json
import os
import selectors
import threading
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from controller.config import load_site
from controller.desk import LinkRequest
from controller.key_room import open_key_store
from controller.link.messages import Devices, DeviceStanding, Done, KeyStanding, Suggest, Welcome
from controller.link.recorded import FIRST_REVISION
from controller.link.server import LinkServer
from controller.turn import Answer
from simulators.cards.site import PURPOSES, SiteCards
from simulators.loop import Loop
from simulators.pn532 import Pn532
from simulators.wire import SerialWire
from tests.controller.conftest import SITE, VirtualSite, first_edit
from tests.controller.keystore.keys import drawn

KEYED = SITE + "\n[cards]\n\n[simulation]\nseed = 5\n"
RANDOM = drawn(17)
MASTERS = {purpose: {1: RANDOM(16)} for purpose in PURPOSES}
NEWER = {purpose: {1: held[1], 2: RANDOM(16)} for purpose, held in MASTERS.items()}
CARDS = SiteCards(keys=MASTERS)
READER_KEY = RANDOM(16)
WALL = """
[[device]]
id = "desk"
kind = "pn532"
port = "{folder}/pn532"
[[device]]
id = "bus"
kind = "osdp-bus"
port = "{folder}/osdp"
[[device]]
id = "rd-1"
kind = "osdp"
bus = "bus"
address = 3
channels = 1
[[device]]
id = "relays"
kind = "modbus"
port = "{folder}/modbus"
unit = 2
channels = 4
[[device]]
id = "strike"
kind = "lcus"
port = "{folder}/lcus"
channels = 2
"""


def typed(capsys: Any, add_parsers: Any, *words: Any) -> tuple[int, str, str]:
    """Exit status, what was printed, what was said."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(required=True))
    parsed = parser.parse_args([str(word) for word in words])
    status = parsed.run(parsed)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def in_json(told: tuple[int, str, str]) -> tuple[int, dict[str, Any]]:
    """Exit status and the document."""
    return told[0], json.loads(told[1])


def keyed_site(folder: Path, text: str = KEYED, masters: Any = MASTERS) -> Path:
    """A site file with a key store beside it."""
    path = folder / "site.toml"
    path.write_text(text, "utf-8")
    store = open_key_store(load_site(path), os.urandom)
    assert store is not None
    for purpose, held in masters.items():
        for version, key in held.items():
            store.import_card_key(purpose, version, key, date(2026, 11, 2), ("officer-01", "officer-02"))
    store.close()
    return path


def walled_site(folder: Path) -> Path:
    """One device of each wired kind, and the reader's key in the key store."""
    path = keyed_site(folder, KEYED + WALL.format(folder=folder))
    store = open_key_store(load_site(path), os.urandom)
    assert store is not None
    store.import_reader_key("rd-1", READER_KEY, date(2026, 11, 2), ("officer-01", "officer-02"))
    store.close()
    return path


@contextmanager
def wired(core: Any, link: Path, baud: int | None = 115_200, **more: Any) -> Any:
    """A simulated device on a byte-paced pty."""
    loop = Loop()
    loop.start()
    wire = SerialWire(loop, core, link, baud=baud, **more)
    try:
        wire.mend()
        yield wire
    finally:
        wire.cut()
        loop.stop()
    assert not loop.faults


@contextmanager
def desk(folder: Path, card: Any) -> Any:
    """A PN532 on a port, with a card in its field."""
    chip = Pn532()
    with wired(chip, folder / "desk") as wire:
        if card is not None:
            wire.touch(lambda now_ms: chip.place(card, now_ms))
        yield wire


class RunningSite:
    """The product's own core and link server in a thread of their own. Its officers sign at once what the console
    suggests.
    """

    def __init__(
        self, folder: Path, socket: Path, text: str = SITE, standings: tuple[DeviceStanding, ...] = ()
    ) -> None:
        self._folder, self._socket, self._text = folder, socket, text
        self.standings = standings
        self.keys: tuple[KeyStanding, ...] = ()
        self.asked: list[Any] = []
        self.react: Any = lambda _site, _message: None
        self.rows: dict[str, Any] = {}
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._is_well = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> RunningSite:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        assert self._is_well

    def _run(self) -> None:
        try:
            self._serve()
            self._is_well = True
        finally:
            self._ready.set()

    def _serve(self) -> None:
        selector = selectors.DefaultSelector()
        site = VirtualSite(self._folder, text=self._text)
        site.at = datetime.now(UTC)
        doc = first_edit(site.file)
        detail = {"id": "site-file", "edit": doc, "revision": site.engine.policy.revision, "base": FIRST_REVISION}
        draft = site.scribe.draft(
            "POLICY_EDITED", now=site.now(), officer="site-file", detail=detail | {"signed": False}
        )
        site.ledger.append([draft])
        for who in ("h-01", "h-02"):
            site.proposes(("cardholder", {"id": who}))

        def take(session: int, message: Any) -> bool:
            self.asked.append(message)
            before = len(site.effects)
            site.at = datetime.now(UTC)
            site.happens(LinkRequest(session=session, message=message))
            answers = [effect for effect in site.effects[before:] if isinstance(effect, Answer)]
            if isinstance(message, Suggest) and any(isinstance(answer.message, Done) for answer in answers):
                site.proposes(*message.puts)
            self.rows = {str(key): row for key, row in site.engine.policy.policy.credentials.items()}
            for answer in answers:
                server.send(answer.session, answer.message)
            self.react(site, message)
            server.grown(site.ledger.size)
            return True

        server = LinkServer(
            self._socket,
            selector,
            on_request=take,
            welcome=lambda: Welcome(
                node="test",
                boot=site.boot,
                size=site.ledger.size,
                revision=site.engine.policy.revision,
                vkey="k",
            ),
            fetch=lambda session, seq, limit: server.page(session, seq, site.ledger.read(seq, limit), tick()),
            devices=lambda asked: Devices(id=asked, devices=self.standings, keys=self.keys),
        )
        server.grown(site.ledger.size)
        self._ready.set()
        while not self._stopping.is_set():
            for key, mask in selector.select(0.02):
                key.data(mask, tick())
            server.tick(tick(), lambda: _status(site))
        server.close()
        selector.close()
        site.ledger.close()


def tick() -> int:
    """The loop's tick."""
    return time.monotonic_ns() // 1_000_000


def _status(site: VirtualSite) -> Any:
    from controller.link.messages import Status

    return Status(
        at_ms=tick(),
        boot=site.boot,
        size=site.ledger.size,
        revision=site.engine.policy.revision,
        is_ledger_writable=True,
        is_clock_trusted=True,
        deviations=[],
        devices_offline=[],
    )
