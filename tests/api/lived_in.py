"""A house that has been lived in, for tests that look at every page: people, rights, visitors, alarms, proposals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from api.names import Name

PEOPLE = (
    ("c-1", "佐藤 美咲", "さとう みさき", "Misaki Sato"),
    ("c-2", "田中 一郎", "たなか いちろう", "Ichiro Tanaka"),
    ("c-3", "小林 由美子", "こばやし ゆみこ", "Yumiko Kobayashi"),
    ("c-4", "鈴木 健", "すずき けん", "Ken Suzuki"),
)
SECRET_DAY = "2031-10-05"
NOTIFIED_DAY = "2021-10-06"
"""The last day of everybody's clearance, and when it was told: on no page of whoever may not see them."""


def rows_of_people(today: date) -> list[tuple[str, dict[str, Any]]]:
    """Everybody's rows: cards, clearances, needs-to-know, places on rosters, trainings; one visitor."""
    period = {"from_on": f"{today - timedelta(days=60)}", "until_on": f"{today + timedelta(days=200)}"}
    rows: list[tuple[str, dict[str, Any]]] = [("item", {"id": "item-1", "designated_until": "2030-03-31"})]
    for number, (person, *_) in enumerate(PEOPLE, 1):
        mine = {"cardholder": person}
        rows += [
            ("cardholder", {"id": person, "kind": "STAFF"}),
            ("credential", {"id": f"k-{number}", "number_hash": f"{number:02}" * 32, "last4": f"b2c{number}",
                            "state": "ACTIVE", **mine}),
            ("clearance", {"id": f"cl-{number}", "basis": "KEIZAI_ANPO", "notified_on": NOTIFIED_DAY,
                           "last_valid_on": SECRET_DAY, "recorded_by": "officer-01", "confirmed_by": "officer-03",
                           **mine}),
            ("roster", {"id": f"ro-{number}", "zone": "office" if number % 2 else "vault",
                        "review_on": f"{today + timedelta(days=20 * number - 30)}", **period, **mine}),
            ("training", {"id": f"tr-{number}", "course": "handling", "done_on": f"{today - timedelta(days=30)}",
                          "due_on": f"{today + timedelta(days=330)}", **mine}),
        ]  # fmt: skip
    signed = {"requested_by": "officer-01", "approved_by_1": "officer-02", "approved_by_2": "officer-03"}
    rows.append(("need_to_know", {"id": "nk-1", "item": "item-1", "cardholder": "c-1", "purpose_code": "P-01", **period,
                                  **signed}))  # fmt: skip
    rows.append(("cardholder", {"id": "v-1", "kind": "VISITOR"}))
    rows.append(("visit", {"id": "visit-1", "cardholder": "v-1", "host": "c-1", "zones": ["office"],
                           "from_on": f"{today}", "until_on": f"{today + timedelta(days=1)}"}))  # fmt: skip
    return rows


def moves_in(web: Any, today: date) -> dict[str, str]:
    """Fills the house of `web`. Returns what to put into addresses: {"seq": …, "portal": …, …}."""
    told = web.controller.record
    edit = web.controller.edit(*rows_of_people(today))
    web.caught_up()
    for person, name, kana, roman in PEOPLE:
        web.parts.view.set_name(Name(cardholder=person, name=name, kana=kana, roman=roman))
    subject = {"subject": {"cardholder": "c-1", "credential": "k-1"}}
    told("ACCESS_GRANTED", portal="front", zone="office", reason="OK", **subject)
    told("PASSAGE", portal="front", zone="office", **subject)
    denied = 0
    for reason in ("NO_NEED_TO_KNOW", "CLEARANCE_EXPIRED", "CLEARANCE_NONE", "NOT_ON_ROSTER"):
        denied = told(
            "ACCESS_DENIED", portal="vault-door", zone="vault", reason=reason, number="7QK4",
            subject={"cardholder": "c-2", "credential": "k-2"},
        )  # fmt: skip
    held = told("DOOR_HELD", portal="lab-east", zone="lab")
    told("DOOR_FORCED", portal="side", zone="office")
    told("DEVICE_OFFLINE", portal="front", detail={"device": "reader-front"})
    web.caught_up()
    return {
        "seq": str(held), "edit": str(edit),
        "decision": str(denied), "portal": "vault-door", "zone": "vault", "item": "item-1",
        "person": "c-1", "roster": "ro-1", "proposal": proposed(web), "register": "people",
    }  # fmt: skip


def proposed(web: Any) -> str:
    """The id of a proposal that waits for its second officer."""
    asked = {"cardholder": "c-3", "zone": "vault", "from_on": "2026-11-01", "until_on": "2027-03-31",
             "review_on": "2027-01-31"}  # fmt: skip
    answer = web.as_("officer-01").post("/api/v1/rosters", json=asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
