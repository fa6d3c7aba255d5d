"""The officers' stories, in Chromium, in both languages: a whole site from its first start to an auditor's question,
with passkeys of the browser's own virtual authenticator, doors of a simulated building, pictures for the handbook.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as LateError

from tests.system.parts import eventually
from tests.system.site import SATO, SUZUKI, Api, Site
from zones.moment import JST

expect.set_options(timeout=20_000)

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto", "chromium")]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / os.environ.get("SEKISHO_PICTURES", "build/pictures")
WIDE, PHONE = {"width": 1366, "height": 850}, {"width": 390, "height": 844}
LOCALES = {"ja": "ja-JP", "en": "en-GB"}
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
EXPECTED_NOISE = re.compile(r"status of (401|403|404|503)|ERR_INTERNET_DISCONNECTED|ERR_FAILED")
"""What Chromium itself writes into the console where a request is answered with that, or there is no network."""


@dataclass
class Desk:
    """One officer at a browser of his own."""

    office: Office
    context: BrowserContext
    page: Page

    def goes(self, path: str) -> Page:
        self.page.goto(f"{self.office.api.url}{path}")
        return self.page

    def enrols(self, link: str) -> None:
        """Opens a one-time link and lets the device make a passkey."""
        self.page.goto(link)
        self.office.picture("enrol", self.page)
        self.page.locator("button[data-passkey=create]").click()
        expect(self.page).to_have_url(re.compile("/enrolled"))
        expect(self.page.locator("[data-registered]")).to_have_text(re.compile(r"^([0-9a-f]{4} ?){4}$"))

    def signs_in(self) -> None:
        self.goes("/sign-in")
        self.page.locator("button[data-passkey=get]").click()
        expect(self.page.locator("header")).to_be_visible()
        expect(self.page).not_to_have_url(re.compile("/sign-in"))

    def signs(self, place: str, *, count: int) -> None:
        """Signs the proposal with his passkey; `count`: signatures on it then."""
        if place not in self.page.url:
            self.goes(place)
        self.page.locator("#sign").click()
        expect(self.page.locator("section[aria-labelledby=signed] li")).to_have_count(count)


@dataclass
class Office:
    """A site in one language, and who works with its pages."""

    site: Site
    browser: Browser
    language: str
    api: Any = None
    desks: dict[str, Desk] = field(default_factory=dict)
    noise: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def opens(self, name: str, size: dict[str, int] = WIDE, **how: Any) -> Desk:
        """A browser for somebody, with a device that makes passkeys."""
        context = self.browser.new_context(viewport=size, locale=LOCALES[self.language], **how)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("console", lambda said: self._hears(said.type, said.text))
        page.on("pageerror", lambda error: self._hears("error", str(error)))
        keys = context.new_cdp_session(page)
        keys.send("WebAuthn.enable")
        keys.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self.desks[name] = Desk(self, context, page)
        return self.desks[name]

    def _hears(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED_NOISE.search(text):
            self.noise.append(text)

    def console(self, *arguments: str) -> str:
        """`sekisho officer ...` at the console."""
        done = subprocess.run(
            [sys.executable, "-m", "sekisho", "officer", *arguments], cwd=ROOT, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def picture(self, name: str, page: Page) -> None:
        """Once, wide and on a phone."""
        if name in self.taken:
            return
        self.taken.add(name)
        PICTURES.mkdir(parents=True, exist_ok=True)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            page.screenshot(path=PICTURES / f"{name}-{self.language}-{size['width']}.png")
        page.set_viewport_size(WIDE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=["ja", "en"])
def office(request: Any, browser: Browser, tmp_path_factory: Any) -> Iterator[Office]:
    with Site(tmp_path_factory.mktemp(request.param)) as site:
        site.starts()
        one = Office(site=site, browser=browser, language=request.param)
        site.api = one.api = Api(site.folder, site.socket).waits()
        yield one
        for desk in one.desks.values():
            desk.context.close()
        assert not one.noise, "the browser complained (CSP, scripts)"


# -- the first day ---------------------------------------------------------------------------------------------------


@pytest.mark.req("A-30", "B-14", "D-30")
def test_first_start_and_the_first_two_passkeys(office: Office) -> None:
    """A new box could not be taken into use, or by anybody with a default password."""
    stranger = office.opens("officer-01")
    page = stranger.goes("/")
    expect(page.locator("main")).to_contain_text("sekisho officer add")
    expect(page.locator("html")).to_have_attribute("lang", office.language)
    office.picture("first-start", page)
    for name in ("officer-01", "officer-02"):
        told = office.console("add", str(office.site.file), name, "--page", office.api.url, "--json")
        desk = office.desks.get(name) or office.opens(name)
        desk.enrols(json.loads(told)["link"])
        eventually(lambda: office.site.found("POLICY_EDITED", reason="enrolment"), 10, "the passkey is recorded")
        desk.signs_in()
    listed = json.loads(office.console("list", str(office.site.file), "--json"))["officers"]
    assert [(one["officer"], one["can_sign"]) for one in listed] == [("officer-01", True), ("officer-02", True)]
    office.picture("live", office.desks["officer-01"].goes("/"))
    office.picture("map", office.desks["officer-01"].goes("/map"))


def change_of(page: Page) -> str:
    """The address of the proposal that a form led to."""
    expect(page).to_have_url(re.compile(r"/proposals/[^/]+$"))
    return "/proposals/" + page.url.rpartition("/")[2]


def _held(site: Site, page: Page) -> bool:
    """Hold the card to the reader, and again a while later where that was taken for the same presentation."""
    site.presents(SATO, "rd-front-in")
    try:
        page.locator("#card .good").wait_for(timeout=2_500)
    except LateError:
        return False
    return True


@pytest.mark.req("A-01", "D-07", "A-02")
def test_from_recruit_to_first_entry_with_two_officers(office: Office) -> None:
    """Somebody new could not enter on the first day, or on one officer's word alone."""
    first, second, site = office.desks["officer-01"], office.desks["officer-02"], office.site
    assert not site.badges(SATO, "front", wait_ms=600).released
    page = first.goes("/people/new")
    page.fill("input[name=name]", "佐藤 美咲")
    page.fill("input[name=kana]", "さとう みさき")
    page.fill("input[name=roman]", "SATO Misaki")
    page.select_option("select[name=reader]", "rd-front-in")
    page.locator("button[hx-post='/cards/wait']").click()
    expect(page.locator("#card [role=timer]")).to_be_visible(timeout=15_000)
    eventually(lambda: _held(site, page), 30, "the card is read")
    expect(page.locator("#card .good")).to_contain_text(SATO[-4:])
    page.select_option("select[name=basis]", "KEIZAI_ANPO")
    page.fill("input[name=notified_on]", f"{datetime.now(JST).date() - timedelta(days=200)}")
    for zone in ("office", "lab"):
        page.check(f"input[name=zone][value={zone}]")
    office.picture("recruit", page)
    page.locator("form[action='/people'] button[type=submit]").click()
    place = change_of(page)
    first.signs(place, count=1)
    assert not site.badges(SATO, "front", wait_ms=600).released, "one signature opens nothing"
    page = second.goes("/proposals")
    office.picture("approvals", page)
    page.locator(f"a[href='{place}']").first.click()
    expect(page.locator("section[aria-labelledby=effects]")).to_contain_text(
        "佐藤" if office.language == "ja" else "SATO"
    )
    office.picture("approval", page)
    second.signs(place, count=2)
    expect(page.locator("section[aria-labelledby=doors] li").first).to_be_visible()
    eventually(lambda: site.badges(SATO, "front", walk=True).released, 20, "the first entry")
    site.recorded("PASSAGE", portal="front")
    page = first.goes("/people")
    expect(page.locator("main")).to_contain_text("佐藤" if office.language == "ja" else "SATO")
    office.picture("people", page)
    page.locator("main table a").first.click()
    office.picture("person", page)


@pytest.mark.req("E-06", "E-04")
def test_a_refusal_is_explained_from_its_number(office: Office) -> None:
    """An officer would need seven steps and four screens to say why somebody stands outside."""
    desk, site = office.desks["officer-01"], office.site
    after = site.last_seq
    site.badges(SUZUKI, "front", wait_ms=800)
    number = site.recorded("ACCESS_DENIED", after=after, portal="front")["number"]
    page = desk.goes("/why")
    page.fill("#why-number", number.lower())
    eventually(lambda: _looked_up(page), 20, "the refusal is found")
    expect(page.locator("ul.checks li.tone-no").first).to_be_visible()
    office.picture("why", page)


def _looked_up(page: Page) -> bool:
    page.locator("form[action='/why'] button").click()
    return page.locator("ul.checks").count() > 0


@pytest.mark.req("A-04", "D-18", "A-03")
def test_a_removal_holds_at_the_door_and_says_since_when(office: Office) -> None:
    """Somebody is taken off a list and walks in next morning; or is treated worse for it, and nobody was reminded."""
    desk, site = office.desks["officer-01"], office.site
    page = desk.goes("/zones/lab/roster")
    office.picture("roster", page)
    page.locator("main table a.button").first.click()
    page.locator("button[commandfor=end]").first.click()
    dialog = page.locator("dialog#end")
    for word in ("解雇", "減給", "降格") if office.language == "ja" else ("dismiss", "pay", "demot"):
        expect(dialog).to_contain_text(re.compile(word, re.IGNORECASE))
    if dialog.locator("select[name=reason]").count():
        dialog.locator("select[name=reason]").select_option(index=1)
    dialog.locator("button.danger").click()
    change = change_of(page)
    desk.signs(change, count=1)
    expect(page.locator("section[aria-labelledby=doors] li").first).to_contain_text(re.compile(r"\d{1,2}:\d{2}"))
    after = site.last_seq
    assert not site.badges(SATO, "lab", wait_ms=800).released
    assert site.recorded("ACCESS_DENIED", after=after, portal="lab")["reason"] == "NOT_ON_ROSTER"


# -- doors, people, fire ---------------------------------------------------------------------------------------------


@pytest.mark.req("A-15")
def test_a_forced_door_is_explained_and_stays_red_until_it_is_shut(office: Office) -> None:
    """Alarms would be clicked away, or a door that stands open look healthy because somebody wrote a note."""
    desk, site = office.desks["officer-01"], office.site
    page = desk.goes("/")
    site.building.force("server")
    site.recorded("DOOR_FORCED", portal="server")
    alarm = page.locator("ul.alarms a[href*='/alarms/'], .alarms a[href*='/alarms/']").first
    expect(alarm).to_be_visible()
    office.picture("live-alarm", page)
    alarm.click()
    page.select_option("select[name=cause]", "worn_latch")
    page.fill(
        "textarea[name=note]",
        "ラッチの摩耗。管理会社を呼んだ" if office.language == "ja" else "Worn latch; a fitter comes",
    )
    page.locator("form.letter button.main").click()
    told = eventually(lambda: site.found("ALARM_HANDLED"), 10, "it is recorded")[0]
    assert told["detail"]["cause"] == "worn_latch" and told["actor"]["officer"] == "officer-01"
    page = desk.goes("/")
    expect(page.locator(".door.forced, .door.open, .door.alarm, [data-state=forced]").first).to_be_visible()
    site.building.close("server")
    site.recorded("DOOR_CLOSED", portal="server")


@pytest.mark.req("A-03")
def test_the_quarterly_review_is_decided_place_by_place(office: Office) -> None:
    """Everybody would stay on every list because one button says yes to all."""
    desk, site = office.desks["officer-01"], office.site
    today = datetime.now(JST).date()
    row = site.found("POLICY_EDITED", reason="joined") or site.found("POLICY_EDITED", weight="WIDENS")
    puts = [put for put in row[0]["detail"]["edit"]["puts"] if put[0] == "roster" and put[1]["zone"] == "office"]
    place = {**puts[0][1], "review_on": f"{today}"}
    asked = {"puts": [{"table": "roster", "row": place}], "reason": "review"}
    answer = desk.page.evaluate(
        """async asked => (await fetch('/api/v1/proposals', {method: 'POST', body: JSON.stringify(asked),
        headers: {'Content-Type': 'application/json'}})).json()""",
        asked,
    )
    desk.signs(f"/proposals/{answer['id']}", count=1)
    page = desk.goes("/review/office")
    office.picture("review", page)
    assert page.locator("input[type=checkbox][name*=all]").count() == 0
    page.locator("fieldset.choice input[value=keep]").first.check()
    page.locator("form button.main").click()
    change = change_of(page)
    desk.signs(change, count=1)
    office.desks["officer-02"].signs(change, count=2)
    expect(desk.goes("/review/office").locator("fieldset.choice")).to_have_count(0)


@pytest.mark.req("D-27")
def test_a_roll_call_goes_on_without_the_network(office: Office) -> None:
    """In a fire the network is the first to go, and the list with it."""
    site, desk = office.site, office.desks["officer-01"]
    page = desk.goes("/roll-call")
    page.locator("button[name=act][value=begin]").click()
    page.set_viewport_size(PHONE)
    expect(page.locator("button[data-tick=found]").first).to_be_visible()
    page.wait_for_function("() => navigator.serviceWorker && navigator.serviceWorker.controller !== null")
    page.reload()
    desk.context.set_offline(True)
    page.reload()
    tick = page.locator("button[data-tick=found]").first
    tick.click()
    expect(tick).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#no-network")).to_be_visible()
    office.picture("roll-call", page)
    assert not site.found("NOTE", kind="ROLL_CALL")
    desk.context.set_offline(False)
    eventually(lambda: page.evaluate("() => 1") and site.found("NOTE", kind="ROLL_CALL"), 30, "the tick was sent")
    page.set_viewport_size(WIDE)


# -- the auditor -----------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27", "A-29", "E-07")
def test_an_auditor_finds_and_verifies_one_record(office: Office, tmp_path: Path) -> None:
    """What the company says about a day could not be held against anything."""
    first, second, site = office.desks["officer-01"], office.desks["officer-02"], office.site
    today = datetime.now(JST).date()
    row = {
        "id": "auditor-01", "roles": ["AUDITOR"], "from_on": f"{today}", "until_on": f"{today + timedelta(days=300)}",
    }  # fmt: skip
    first.goes("/")
    fetched = """async ([path, asked]) => (await fetch(path, {method: 'POST', body: JSON.stringify(asked),
        headers: {'Content-Type': 'application/json'}})).json()"""
    asked = {"puts": [{"table": "officer", "row": row}], "reason": "enrolment"}
    made = first.page.evaluate(fetched, ["/api/v1/proposals", asked])
    first.signs(f"/proposals/{made['id']}", count=1)
    second.signs(f"/proposals/{made['id']}", count=2)
    link = eventually(
        lambda: first.page.evaluate(fetched, ["/api/v1/officers/auditor-01/invitation", {}]).get("link"), 20, "a link"
    )
    auditor = office.opens("auditor-01", accept_downloads=True)
    auditor.enrols(link.replace(link.partition("/enrol")[0], office.api.url))
    waiting = eventually(lambda: _waiting(first), 20, "the passkey waits for its signatures")
    code = auditor.page.locator("[data-registered]").inner_text()
    office.picture("officers", first.goes("/officers"))
    expect(first.page.get_by_text(code)).to_be_visible()
    expect(first.goes(waiting).get_by_text(code)).to_be_visible()
    first.signs(waiting, count=1)
    second.signs(waiting, count=2)
    auditor.signs_in()
    page = auditor.goes("/events?type=ACCESS_GRANTED")
    office.picture("audit", page)
    body = page.locator("main").inner_text()
    assert "佐藤" not in body and "SATO" not in body, "an auditor reads pseudonyms"
    page.locator("table.events a").first.click()
    office.picture("record", page)
    page.select_option("#p-why", "audit")
    with page.expect_download() as coming:
        page.locator("form[action$='/proof'] button").click()
    proof = tmp_path / "one.tlog-proof"
    coming.value.save_as(proof)
    key = _sekisho("ledger", "key", "--socket", str(site.socket)).strip()
    found = json.loads(_sekisho("ledger", "check-proof", str(proof), "--key", key, "--json"))
    assert found["body"]["type"] == "ACCESS_GRANTED"
    for name, path in (
        ("me", "/me"),
        ("devices", "/devices"),
        ("reports", "/reports"),
        ("print", "/print/rosters?zone=office"),
    ):
        office.picture(name, first.goes(path))


def _waiting(desk: Desk) -> str | None:
    page = desk.goes("/proposals")
    links = page.locator("main a[href^='/proposals/']")
    return links.first.get_attribute("href") if links.count() else None


def _sekisho(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sekisho", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
