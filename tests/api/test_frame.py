"""The frame of the officers' pages: what each role is shown, language, eras and colours, weight, alarms, the plan."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from api.masks import Sight, masked
from api.names import Name
from api.plan_layout import NARROW, WIDE, Nest, Shape, cut_to, drawn, laid_out
from api.tables import EventRow

GUARD = Sight(has_portals=True, has_technical=False, has_inner=False, has_names=False, zones=None)
OWN_LAB = Sight(has_portals=True, has_technical=False, has_inner=True, has_names=True, zones=frozenset({"lab"}))
AUDITOR = Sight(has_portals=False, has_technical=False, has_inner=True, has_names=False, zones=None)
ENGINEER = Sight(has_portals=False, has_technical=True, has_inner=False, has_names=False, zones=None)


def a_record(kind: str, zone: str | None = "lab") -> EventRow:
    body = {
        "type": kind, "zone": zone, "outcome": "DENIED", "reason": "CLEARANCE_NONE", "number": "7QK4",
        "subject": {"cardholder": "c-2", "credential": "k-2"}, "explain": [["D08", "CLEARANCE_NONE"]],
        "evidence": {"last4": "beef"}, "facts": {"is_late": True}, "detail": {"device": "reader-lab", "code": "lost"},
    }  # fmt: skip
    return EventRow(
        seq=7, type=kind, record_class="access", zone=zone, reason="CLEARANCE_NONE", cardholder="c-2",
        credential="k-2", body=json.dumps(body),
    )  # fmt: skip


CELLS = [
    (GUARD, "ACCESS_DENIED", "lab", "outside"), (GUARD, "POLICY_EDITED", None, "hidden"),
    (GUARD, "NOTE", None, "hidden"),
    (GUARD, "CREDENTIAL_ALARM", "lab", "hidden"), (GUARD, "DOOR_FORCED", None, "outside"),
    (OWN_LAB, "ACCESS_DENIED", "lab", "whole"), (OWN_LAB, "ACCESS_DENIED", "vault", "hidden"),
    (OWN_LAB, "POLICY_EDITED", None, "hidden"), (OWN_LAB, "FIRE_ON", None, "outside"),
    (AUDITOR, "ACCESS_DENIED", "vault", "whole"), (AUDITOR, "POLICY_EDITED", None, "whole"),
    (ENGINEER, "DEVICE_OFFLINE", None, "outside"), (ENGINEER, "ACCESS_DENIED", "lab", "hidden"),
    (ENGINEER, "PASSAGE", "lab", "hidden"),
]  # fmt: skip


@pytest.mark.req("E-06")
@pytest.mark.parametrize(("sight", "kind", "zone", "shown"), CELLS)
def test_a_record_shows_what_its_reader_may_know(sight: Sight, kind: str, zone: str | None, shown: str) -> None:
    """A guard would read why somebody was refused, or an engineer who went where."""
    row = a_record(kind, zone)
    found = masked(row, sight)
    assert {"hidden": found is None, "whole": found is row, "outside": found is not row}[shown]
    if shown == "outside":
        assert (
            found is not None
            and found.type == kind
            and (found.cardholder, found.credential, found.reason) == (None,) * 3
        )
        assert not re.search("c-2|k-2|CLEARANCE|D08|beef|is_late|lost", found.body or "")


@pytest.mark.req("E-06", "E-03")
def test_each_role_sees_the_live_page_that_is_his(web: Any) -> None:
    """Names and reasons would stand on the screen at the reception; or an auditor could watch a door."""
    web.controller.edit(("cardholder", {"id": "c-2", "cls": "STAFF"}))
    web.caught_up()
    web.parts.view.set_name(Name(cardholder="c-2", name="田中 一郎", kana="", roman=""))
    for zone, portal in (("office", "front"), ("vault", "vault-door")):
        web.controller.record(
            "ACCESS_DENIED", zone=zone, portal=portal, reason="NOT_ON_ROSTER", outcome="DENIED",
            subject={"cardholder": "c-2"},
        )  # fmt: skip
    roles = ("PROTECTION_OFFICER", "WORK_MANAGER", "GUARD", "AUDITOR", "ENGINEER")
    clients = {role: web.as_(role) for role in roles}
    web.caught_up()
    pages = {role: client.get("/live?lang=ja") for role, client in clients.items()}
    assert [pages[role].status_code for role in roles] == [200, 200, 200, 403, 403]
    whole, own, guard = (pages[role].text for role in roles[:3])
    assert whole.count("田中 一郎") == 2 and whole.count("名簿に") == 2
    assert 0 < own.count("田中 一郎") <= whole.count("田中 一郎")
    assert guard.count("入室不可</span>") == 2
    assert not re.search("田中|c-2|名簿|NOT_ON_ROSTER|登録の変更|POLICY", guard)
    for address in ("/live?lang=ja", "/map?lang=ja"):
        assert "通用口" in clients["WORK_MANAGER"].get(address).text and "敷地" in clients["GUARD"].get(address).text
        assert "plan-zone level-0" not in clients["WORK_MANAGER"].get(address).text
    assert 'id="z-site"' in guard and 'id="z-site"' not in own and 'id="z-office"' in own
    menu = {role: set(re.findall(r'href="(/[a-z-]*)"', client.get("/").text)) for role, client in clients.items()}
    assert "/people" in menu["PROTECTION_OFFICER"] and not {"/people", "/rosters", "/history"} & menu["GUARD"]
    assert "/map" not in menu["AUDITOR"] | menu["ENGINEER"]


@pytest.mark.req("D-30")
def test_language_eras_and_colours_are_chosen_once_and_kept(web: Any) -> None:
    """Each page would have to be set anew; or a link to English would lose the page that somebody was on."""
    client = web.as_("GUARD")
    english = client.get("/alarms?lang=en&theme=dark&years=japanese&x=1")
    given = {line.partition("=")[0]: line for line in english.headers.get_list("set-cookie")}
    assert set(given) >= {"__Host-lang", "__Host-theme", "__Host-years"} and all(
        "Secure" in one for one in given.values()
    )
    assert '<html lang="en" data-theme="dark">' in english.text and "/alarms?x=1&amp;lang=ja" in english.text
    kept = {"Cookie": f"{client.headers['cookie']}; __Host-lang=en; __Host-theme=dark; __Host-years=japanese"}
    assert '<html lang="en" data-theme="dark">' in client.get("/alarms", headers=kept).text
    assert '<html lang="ja"' in client.get("/alarms", headers={"Accept-Language": "fr, ja;q=0.8, en;q=0.2"}).text
    web.controller.record("DOOR_FORCED", portal="side", at_ms=1_788_188_399_000)
    web.caught_up()
    era = client.get("/alarms?lang=ja", headers=kept).text
    assert "令和8年8月31日 23:59" in era and "2026/08/31 23:59" in client.get("/alarms?lang=ja&years=western").text
    assert client.get("/alarms?lang=xx&theme=<b>").text.count("<b>") == client.get("/alarms").text.count("<b>")


def test_a_page_is_light_and_its_scripts_are_those_of_the_answer(web: Any) -> None:
    """On a bad line at night the first page would be late; or a script slipped into it would run."""
    client = web.as_("PROTECTION_OFFICER")
    for n in range(60):
        web.controller.record("PASSAGE", portal="front", zone="office", subject={"cardholder": "c-1"}, at_ms=n)
    web.caught_up()
    page = client.get("/")
    assert page.headers["content-encoding"] == "gzip"
    nonce = re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])
    assert nonce is not None and nonce[1] != client.get("/").text.partition("nonce=")[2][1:23]
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert scripts and all(f'nonce="{nonce[1]}"' in one and "src=" in one for one in scripts)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    weight = len(gzip.compress(page.content)) + sum(len(gzip.compress(client.get(one).content)) for one in files)
    assert len(files) > 4 and weight < 60_000, weight
    assert all("immutable" in client.get(one).headers["cache-control"] for one in files)
    assert "immutable" not in client.get(files[0].partition("?")[0]).headers["cache-control"]
    assert client.get("/static/../app.py").status_code == client.get("/static/vendor/nothing.js").status_code == 404


@pytest.mark.req("E-01")
def test_an_alarm_is_answered_with_a_cause_and_a_note(web: Any) -> None:
    """An alarm would go away without anybody having said what it was; or a refusal would cost the words written."""
    web.controller.record("DOOR_FORCED", portal="side")
    web.controller.record("DOOR_CLOSED", portal="side")
    web.controller.record("DOOR_FORCED", portal="side")
    client = web.as_("GUARD")
    live = client.get("/live?lang=ja").text
    seq = re.findall(r'href="/alarms/(\d+)"', live)
    assert len(seq) == 1 and "2回" in live
    rows = {
        show: client.get(f"/live?lang=ja&show={show}").text.count("<tr class") for show in ("all", "denied", "alarm")
    }
    assert (rows["denied"], rows["alarm"]) == (0, 2) and rows["all"] >= 3
    assert client.get("/live?show=nothing").status_code == 422
    assert "警報の原因" in client.get(f"/alarms/{seq[0]}?lang=ja").text
    web.controller.refusals.append({"code": "bad_note", "field": "note"})
    again = client.post(f"/alarms/{seq[0]}", data={"cause": "worn_latch", "note": "ラッチが <b>甘い"})
    assert again.status_code == 422 and "ラッチが &lt;b&gt;甘い" in again.text
    assert re.search('value="worn_latch" selected', again.text)
    sent = client.post(
        f"/alarms/{seq[0]}", data={"cause": "worn_latch", "note": "ラッチが甘い"}, follow_redirects=False
    )
    assert sent.status_code == 303, sent.text
    told = [one for one in web.controller.heard if one.get("is") == "handle_alarm"]
    assert (told[-1]["kind"], told[-1]["cause"], told[-1]["note"]) == ("DOOR_FORCED", "worn_latch", "ラッチが甘い")
    assert client.get("/alarms/999999").status_code == 404
    assert web.as_("AUDITOR").get("/alarms").status_code == 403


def test_a_plan_is_kept_as_it_was_drawn_and_forgotten_when_asked(web: Any) -> None:
    """The plan would be lost with every start, or a mistyped number would move a door out of sight for good."""
    client = web.as_("PROTECTION_OFFICER")
    page = client.get("/map/draw?lang=ja").text
    fields = dict(re.findall(r'name="((?:zone|portal)\.[^"]+)" value="(\d+)"', page))
    assert len(fields) == 4 * (len(web.parts.view.rows("zone")) + len(web.parts.view.rows("portal")))
    moved = fields | {"portal.side.x": "777", "portal.side.y": "40"}
    assert client.post("/map/draw", data=moved, follow_redirects=False).status_code == 303
    assert 'x="777"' in client.get("/map").text
    for wrong in ("-5", "99999", "x", "1e3"):
        assert client.post("/map/draw", data=fields | {"portal.side.x": wrong}).status_code == 422
    assert 'x="777"' in client.get("/map").text
    assert client.post("/map/draw", data={"forget": "1"}, follow_redirects=False).status_code == 303
    assert 'x="777"' not in client.get("/map").text and "通用口" in client.get("/doors/side?lang=ja").text
    assert web.as_("GUARD").get("/map/draw").status_code == 403 and client.get("/doors/nowhere").status_code == 404


NESTS = [
    [Nest(id="site", inside=[Nest(id="a", portals=["p1", "p2", "p3"], inside=[Nest(id="b", portals=["p4"])])])],
    [Nest(id=f"t{n}", portals=[f"t{n}p{m}" for m in range(n % 4)],
          inside=[Nest(id=f"t{n}i{m}", portals=[f"t{n}i{m}p"]) for m in range(n)]) for n in range(8)],
]  # fmt: skip


@pytest.mark.parametrize("tops", NESTS, ids=["nested", "many"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_plan_shows_every_zone_in_its_own_and_no_door_over_another(tops: list[Nest], width: int) -> None:
    """A door would be hidden behind another, or stand in a zone that it does not lead into."""
    plan = laid_out(tops, width)

    def within(inner: Shape, outer: Shape) -> bool:
        return (
            inner.x >= outer.x and inner.y >= outer.y and inner.x + inner.w <= outer.x + outer.w
            and inner.y + inner.h <= outer.y + outer.h
        )  # fmt: skip

    def apart(shapes: list[Shape]) -> bool:
        return not any(
            a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h
            for at, a in enumerate(shapes) for b in shapes[at + 1 :]
        )  # fmt: skip

    def look(nest: Nest, around: Shape) -> None:
        own = plan.zones[nest.id]
        assert within(own, around), nest.id
        inside = [plan.portals[one] for one in nest.portals] + [plan.zones[one.id] for one in nest.inside]
        assert all(within(one, own) for one in inside) and apart(inside), nest.id
        for one in nest.inside:
            look(one, own)

    whole = Shape(x=0, y=0, w=width, h=plan.height)
    assert apart([plan.zones[top.id] for top in tops])
    for top in tops:
        look(top, whole)


def test_a_zone_that_nobody_drew_stands_below_the_drawing() -> None:
    """A new zone would be on no plan, and its doors with it."""
    plan = drawn(NESTS[0], {"site": Shape(x=0, y=0, w=900, h=500)}, {})
    assert set(plan.zones) == {"site", "a", "b"} and set(plan.portals) == {"p1", "p2", "p3", "p4"}
    assert min(plan.zones[one].y for one in ("a", "b")) > 500 and plan.height > 500


def test_a_long_name_is_cut_to_its_place() -> None:
    """Names would run over the door beside them."""
    assert cut_to("会議室", 300) == "会議室"
    assert (
        cut_to("情報システム開発第二検証室", 100).endswith("…") and len(cut_to("情報システム開発第二検証室", 100)) <= 7
    )
    assert cut_to("", 10) == ""
