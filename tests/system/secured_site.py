"""A site whose cards and readers prove themselves: OSDP, DESFire, NTAG 424, FeliCa Lite-S, PKOC, Modbus. Told like an
incident report, as the plain one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from controller.config import load_site
from controller.key_room import open_key_store
from controller.keystore.store import KeyStore
from controller.link.messages import DeviceOrder, Devices, DeviceStanding, Done, Refused
from sekisho.demo_people import SCHEME_OF
from simulators.building import BadgeReply
from simulators.cards.pkoc import PkocCard
from tests.system.parts import epoch_ms, eventually
from tests.system.site import Site
from zones.moment import JST
from zones.people import Basis
from zones.terms import term_of

SATO = "04112233445566"  # DESFire EV2
ITO = "01147A0B2C3D4E5F"  # FeliCa Lite-S
TANAKA = "04A1B2C3D4E5F6"  # NTAG 424 DNA
KIMURA = "04D4E5F6A7B8C9"  # PKOC, with a PIN and all three keys
MORI = "04E5F60718293A"  # PKOC, with a PIN and all three keys
PINS = {KIMURA: "594017", MORI: "827364"}
FILES = Path(__file__).parent / "secured"
ZONES = {
    SATO: ("office",),
    ITO: ("office",),
    TANAKA: ("office",),
    KIMURA: ("office", "vault"),
    MORI: ("office", "vault"),
}


class SecuredSite(Site):
    """The site; its key store is filled before the controller starts."""

    def __init__(self, folder: Path, **how: Any) -> None:
        super().__init__(folder, files=FILES, **how)

    def write_site_file(self) -> None:
        super().write_site_file()
        with self.keys() as store:
            today = datetime.now(JST).date()
            for purpose, versions in self.building.plan.master_keys().items():
                for version, key in versions.items():
                    store.import_card_key(purpose, version, key, today, ("officer-01", "officer-02"))
            for device in self.building.plan.devices:
                if device.kind == "osdp-reader" and device.key is not None:
                    key = bytes.fromhex(device.key)
                    store.import_reader_key(device.id, key, today, ("officer-01", "officer-02"))

    @contextmanager
    def keys(self) -> Iterator[KeyStore]:
        """The key store, while no controller has it."""
        store = open_key_store(load_site(self.file), os.urandom)
        assert store is not None
        try:
            yield store
        finally:
            store.close()

    def starts(self, **how: Any) -> Self:
        """As any site; and what a reader said in its first second is not believed, so that is waited for."""
        super().starts(**how)
        self.settles()
        return self

    def settles(self) -> None:
        """A second goes by in which no device comes or goes."""
        for _ in range(20):
            moves = self.comings_and_goings
            self.passes_a_second()
            if self.comings_and_goings == moves:
                return
        raise AssertionError("devices came and went for twenty seconds")

    @property
    def comings_and_goings(self) -> int:
        """How often a device fell silent or answered again."""
        return sum(body["type"] in ("DEVICE_ONLINE", "DEVICE_OFFLINE") for body in self.records)

    @property
    def devices(self) -> set[str]:
        return {device.id for device in self.building.plan.devices if device.kind != "osdp-bus"}

    # -- people --------------------------------------------------------------------------------------------------------

    def number_of(self, card: str) -> str:
        """What the credential is looked up by: of a PKOC card its public key."""
        person = self.building.crowd.person(card)
        held = self.building.pockets.held(card, person.kind)
        return held.credential.hex() if isinstance(held, PkocCard) else card.lower()

    def scheme_of(self, card: str) -> str | None:
        """How the card proves itself."""
        return next(SCHEME_OF[one.card_type] for one in self.building.plan.people if one.card.upper() == card.upper())

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        today = datetime.now(JST).date()
        period = {"from_on": f"{today}", "until_on": f"{today + timedelta(days=330)}"}
        notified = today - timedelta(days=200)
        rows: list[tuple[str, dict[str, Any]]] = []
        for at, (card, zones) in enumerate(ZONES.items()):
            who = f"h-{at}"
            mine = {"cardholder": who}
            credential = {"id": f"cr-{at}", "number": self.number_of(card), "state": "ACTIVE"}
            rows.append(("cardholder", {"id": who}))
            rows.append(("credential", {**credential, "scheme": self.scheme_of(card), **mine}))
            if "vault" in zones:
                valid = {"notified_on": f"{notified}", "last_valid_on": f"{term_of(Basis.KEIZAI_ANPO, notified)}"}
                signed = {"recorded_by": "officer-01", "confirmed_by": "officer-02"}
                rows.append(("clearance", {"id": f"cl-{at}", "basis": "KEIZAI_ANPO", **valid, **signed, **mine}))
                named = {"id": f"nk-{at}", "item": "item-0117", "purpose_code": "P-01"}
                signed = {"requested_by": "officer-01", "approved_by_1": "officer-02", "approved_by_2": "officer-03"}
                rows.append(("need_to_know", {**named, **period, **signed, **mine}))
            if card in PINS:
                rows.append(("pin", {"id": who, "pin": PINS[card]}))
            for zone in zones:
                named = {"id": f"ro-{at}-{zone}", "zone": zone, "review_on": f"{today + timedelta(days=90)}"}
                rows.append(("roster", {**named, **period, **mine}))
        return rows

    def holds(self, card: str, door: str, how: str = "own", **more: Any) -> BadgeReply:
        """Somebody holds a card, or what he made of it, to the reader outside. On a machine too busy to poll its bus in
        time a reader is out of order, as it should be: whoever sees that shows the card once more when it is back.
        """
        moves = self.comings_and_goings
        reply = self.building.badge(card, door=door, walk=False, held=how, **more)
        if reply.shown != "out_of_order" or self.comings_and_goings == moves:
            return reply
        self.settles()
        return self.building.badge(card, door=door, walk=False, held=how, **more)

    def passes_a_second(self) -> None:
        """Until the same card at the same reader is another presentation."""
        self.building.journal.wait(lambda _entry: False, after=self.building.journal.last, timeout_s=1.1)

    # -- officers at the console ---------------------------------------------------------------------------------------

    def orders(self, act: str, device: str = "rd-vault", **changed: Any) -> Done | Refused:
        """Two officers at the console, unless `changed` says otherwise."""
        with self.link() as link:
            fields: dict[str, Any] = {
                "id": secrets.token_hex(8),
                "boot": link.connect().boot,
                "not_after_ms": epoch_ms() + 5_000,
                "act": act,
                "device": device,
                "officer": "officer-01",
                "second": "officer-02",
            }
            return link.request(DeviceOrder(**(fields | changed)))

    def approves(self, device: str) -> Self:
        """Two officers say that a device is the right one."""
        signed = {"restored_by": "officer-01", "confirmed_by": "officer-02"}
        return self.edits([("device_status", {"id": device, "is_trusted": True, **signed})])

    def standings(self) -> Devices:
        """What the console is told of the devices."""
        with self.link() as link:
            return link.devices()

    def standing(self, device: str) -> DeviceStanding:
        """What the console is told of one device."""
        return next(one for one in self.standings().devices if one.id == device)

    def comes_online(self, device: str, within_s: float = 5.0) -> None:
        """Wait for it."""
        eventually(lambda: self.standing(device).is_online, within_s, f"{device} is online")
