"""The page in a real browser: strict policy without a complaint, live, both languages, phone and desk, keyboard."""

from __future__ import annotations

import base64
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import sync_playwright

from api.names import Name

WIDE, PHONE = {"width": 1366, "height": 860}, {"width": 390, "height": 844}
SHOTS = os.environ.get("SEKISHO_SHOTS")


def a_morning(web: Any) -> None:
    """Made-up people, a forced door, a held one, a reader that does not answer."""
    people = [
        ("c-1", "佐藤 美咲", "Misaki Sato"),
        ("c-2", "田中 一郎", "Ichiro Tanaka"),
        ("c-3", "小林 由美子", "Yumiko Kobayashi"),
    ]
    for name, kanji, roman in people:
        called(web, name, kanji, roman=roman)
    told = web.controller.record
    for kind, portal, c, reason in (
        ("ACCESS_GRANTED", "front", "c-1", "OK"), ("PASSAGE", "front", "c-1", None),
        ("DOOR_CLOSED", "front", None, None),
        ("ACCESS_DENIED", "vault-door", "c-2", "NOT_ON_ROSTER"), ("ACCESS_DENIED", "lab-east", None, "CARD_UNKNOWN"),
        ("ACCESS_GRANTED", "lab-east", "c-3", "OK"), ("PASSAGE", "lab-east", "c-3", None),
        ("DOOR_HELD", "lab-east", None, None), ("DOOR_FORCED", "side", None, None),
        ("ACCESS_GRANTED", "vault-door", "c-1", "OK"),
    ):  # fmt: skip
        extra: dict[str, Any] = {"subject": {"cardholder": c}} if c else {}
        told(kind, portal=portal, **extra, **({"reason": reason} if reason else {}))
    told("DEVICE_OFFLINE", portal="front", detail={"device": "reader-front"})
    web.controller.set_status(deviations=["mqtt_without_tls:broker", "uid_accepted:lab"], is_clock_trusted=False)
    web.caught_up()


def called(web: Any, name: str, kanji: str, *, kana: str = "", roman: str = "") -> None:
    """Somebody is in the registers, with a name."""
    web.controller.edit(("cardholder", {"id": name, "cls": "STAFF"}))
    web.caught_up()
    web.parts.view.set_name(Name(cardholder=name, name=kanji, kana=kana, roman=roman))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Screen:
    """One window, with what its console said."""

    def __init__(
        self,
        browser: Any,
        web: Any,
        size: dict[str, int],
        language: str,
        *,
        dark: bool = False,
        who: str = "officer-01",
    ) -> None:
        self.home = web.url.replace("127.0.0.1", "localhost")
        self.context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light")
        secret = web.sign_in(who).headers["set-cookie"].partition("=")[2].partition(";")[0]
        held = {"domain": "localhost", "path": "/", "secure": True, "httpOnly": True, "sameSite": "Strict"}
        self.context.add_cookies([{"name": "__Host-sekisho", "value": secret, **held}])
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.goto(f"{self.home}/?lang={language}")

    def shot(self, name: str) -> None:
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=False)

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def screens(browser: Any) -> Iterator[Any]:
    made: list[Screen] = []

    def make(*given: Any, **named: Any) -> Screen:
        made.append(Screen(browser, *given, **named))
        return made[-1]

    yield make
    for screen in made:
        screen.close()


LOOKS = [("ja-wide", WIDE, "ja", False), ("en-phone-dark", PHONE, "en", True)]


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("name", "size", "language", "dark"), LOOKS, ids=[look[0] for look in LOOKS])
def test_the_page_shows_doors_alarms_and_events_without_a_complaint(
    web: Any, screens: Any, name: str, size: dict[str, int], language: str, dark: bool
) -> None:
    """The officer on shift would see a broken page, or one that scrolls sideways on a phone."""
    from playwright.sync_api import expect

    a_morning(web)
    screen = screens(web, size, language, dark=dark)
    page = screen.page
    expect(page.locator("#clock")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(page.locator("#alarms > .alarms > .alarm")).to_have_count(3)
    expect(page.locator("#more-alarms summary")).to_have_text("他2件" if language == "ja" else "and 2 more")
    expect(page.locator("[data-portal=side] .state")).to_have_text("こじ開け" if language == "ja" else "Forced open")
    expect(page.locator("[data-portal=front] .state")).to_have_text("応答なし" if language == "ja" else "No answer")
    expect(page.locator("tbody")).to_contain_text("佐藤 美咲" if language == "ja" else "Misaki Sato")
    expect(page.locator("#cut")).to_be_hidden()
    screen.shot(name)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if size is PHONE:
        page.locator("#events").scroll_into_view_if_needed()
        page.locator("tbody tr").nth(6).scroll_into_view_if_needed()
        screen.shot(f"{name}-below")
    assert screen.said == []


@pytest.mark.needs("chromium")
def test_a_badge_shows_by_itself_and_a_cut_line_says_so(web: Any, screens: Any) -> None:
    """The officer would look at a picture of the past."""
    from playwright.sync_api import expect

    screen = screens(web, WIDE, "ja")
    page = screen.page
    expect(page.locator("#alarms .calm")).to_be_visible()
    web.controller.record("DOOR_FORCED", portal="vault-door")
    expect(page.locator("[data-portal=vault-door] .state")).to_have_text("こじ開け")
    expect(page.locator("#alarms .alarm")).to_have_count(1)
    web.controller.stop()
    expect(page.locator("#cut")).to_be_visible(timeout=3000)
    screen.shot("ja-cut")
    web.controller.restart()
    expect(page.locator("#cut")).to_be_hidden(timeout=8000)
    web.controller.record("PASSAGE", portal="front")
    expect(page.locator("tbody tr").first).to_contain_text("正面玄関")
    assert screen.said == []


@pytest.mark.needs("chromium")
def test_a_frozen_web_process_is_noticed_within_six_seconds(web: Any, screens: Any) -> None:
    """A hung page would look like a quiet night."""
    from playwright.sync_api import expect

    screen = screens(web, WIDE, "ja")
    expect(screen.page.locator("#clock")).not_to_be_empty()
    loop = web.parts.broadcast._loop
    loop.call_soon_threadsafe(time.sleep, 7)
    expect(screen.page.locator("#cut")).to_be_visible(timeout=6500)


@pytest.mark.needs("chromium")
def test_a_door_is_released_with_the_keyboard_alone(web: Any, screens: Any) -> None:
    """An officer without a mouse could not let the doctor in; or one key press would open a door unasked."""
    from playwright.sync_api import expect

    screen = screens(web, WIDE, "ja")
    page = screen.page
    expect(page.locator("#clock")).not_to_be_empty()
    page.locator("#go-front").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#release-reason")).to_be_focused()
    expect(page.locator("#release")).to_contain_text("取り消せません")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # no reason chosen: the browser asks for one
    expect(page.locator("#release-reason")).to_be_focused()
    assert not web.controller.heard_of("command")
    page.keyboard.press("Escape")
    expect(page.locator("#go-front")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#release-reason").select_option("visitor")
    screen.shot("ja-release")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#release-answer")).to_contain_text("記録番号")
    assert [one["portal"] for one in web.controller.heard_of("command")] == ["front"]
    expect(page.locator("[data-portal=front] .state")).to_have_text("解錠中")
    expect(page.locator("[data-portal=front] .state")).to_have_text("閉・施錠", timeout=9000)
    assert screen.said == []


def holds_passkey(screen: Screen, web: Any, officer: str) -> None:
    """The officer's own passkey, in this browser."""
    key = web.key(officer)
    private = key._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    devtools = screen.context.new_cdp_session(screen.page)
    devtools.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    made = devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**kind, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    text = {"credentialId": key.credential_id, "privateKey": private}
    held = {name: base64.b64encode(octets).decode() for name, octets in text.items()}
    credential = {**held, "isResidentCredential": False, "rpId": "localhost", "signCount": 1}
    devtools.send(
        "WebAuthn.addCredential", {"authenticatorId": made["authenticatorId"], "credential": credential}
    )  # fmt: skip
    web.parts.signing_in.passkeys.origins.append(screen.home)


@pytest.mark.needs("chromium")
def test_a_release_asks_for_the_passkey_where_it_was_not_shown_lately(web: Any, screens: Any) -> None:
    """Whoever sat down at an open page would open doors; or an officer could not, and would not know why."""
    from playwright.sync_api import expect

    screen = screens(web, WIDE, "ja")
    page = screen.page
    expect(page.locator("#clock")).not_to_be_empty()
    sessions = web.parts.signing_in.sessions
    sessions._all = {name: replace(one, fresh_ms=0) for name, one in sessions._all.items()}
    holds_passkey(screen, web, "officer-01")
    page.locator("#go-front").click()
    page.locator("#release-reason").select_option("visitor")
    page.locator("#release-go").click()
    expect(page.locator("#release-answer")).to_contain_text("記録番号", timeout=10_000)
    assert [one["portal"] for one in web.controller.heard_of("command")] == ["front"]
    assert all("403" in one for one in screen.said), screen.said  # the browser's own word on the first answer
    expect(page.locator("[data-portal=front] .state")).to_have_text("解錠中")


@pytest.mark.needs("chromium")
@pytest.mark.req("A-31")
def test_the_new_officers_screen_shows_the_code_that_those_see_who_sign(web: Any, screens: Any) -> None:
    """Two people would compare by voice, and either find a difference each time or never one."""
    from playwright.sync_api import expect

    screen = screens(web, WIDE, "en")
    holds_passkey(screen, web, "officer-01")
    made = web.as_("officer-01").post("/api/v1/officers/guard-01/invitation").json()
    screen.page.goto(f"{screen.home}/enrol{made['link'].partition('/enrol')[2]}")
    screen.page.locator("[data-passkey=create]").click()
    shown = screen.page.locator("[data-registered]")
    expect(shown).to_have_text(re.compile(r"^[0-9a-f]{4}( [0-9a-f]{4}){3}$"), timeout=10_000)
    (waiting,) = web.as_("officer-01").get("/api/v1/proposals?state=open").json()["items"]
    assert shown.text_content() in web.as_("officer-01").get(f"/proposals/{waiting['id']}").text


@pytest.mark.needs("chromium")
def test_a_hostile_name_is_text_and_nothing_else(web: Any, screens: Any) -> None:
    """Whoever may write a name could open doors from an officer's browser."""
    from playwright.sync_api import expect

    name = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"&"
    called(web, "c-1", name)
    screen = screens(web, WIDE, "ja")
    web.controller.record("ACCESS_GRANTED", portal="front", subject={"cardholder": "c-1"})
    expect(screen.page.locator("tbody")).to_contain_text(name)
    assert screen.page.locator("tbody img, tbody script").count() == 0
    assert screen.said == []


def test_an_empty_site_says_what_to_do_next(controller: Any, settings: Any, kit: Any) -> None:
    """The first page anybody sees would be blank."""
    controller.records.clear()
    controller.edit(*kit.posts())
    web = kit.serve(settings, controller)
    web.caught_up()
    shown = web.as_("GUARD").get("/?lang=ja").text
    assert "区域はまだ登録されていません" in shown and "記録はまだありません" in shown and "警報はありません" in shown
    web.stop()


@pytest.mark.req("E-11")
def test_no_address_title_or_file_name_speaks_of_clearances(web: Any) -> None:
    """A glance at a screen, a proxy's log or a history would tell what somebody is cleared for."""
    page = web.client.get("/?lang=en").text
    words = re.compile(r"clearance|suitab|secret|適性|秘密", re.IGNORECASE)
    title = re.findall(r"<title>(.*?)</title>", page)[0]
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page)
    files = [path.name for path in (Path(__file__).parents[2] / "api" / "static").iterdir()]
    assert addresses and not [one for one in (title, *addresses, *files) if words.search(one)]


@pytest.mark.req("D-30")
def test_times_are_those_of_japan_whatever_the_host_says(web: Any, monkeypatch: Any) -> None:
    """A record would carry another day than the wall clock in the room."""
    monkeypatch.setenv("TZ", "Pacific/Midway")
    time.tzset()
    try:
        client = web.client
        web.controller.record("PASSAGE", portal="front", at_ms=1_788_188_399_000)  # 2026-08-31T23:59:59+09:00
        web.caught_up()
        event = client.get("/api/v1/events", params={"after": web.parts.view.seq - 1}).json()["items"][0]
        assert event["at"] == "2026-08-31T23:59:59.000+09:00"
        assert re.search(r"20\d\d年\(令和\d+年\)\d+月\d+日\(.\)", client.get("/?lang=ja").text)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_reason_and_type_has_words_in_both_languages() -> None:
    """The officer would read a code, or the wrong language."""
    from api.words import REASONS, TYPES
    from zones.decision.reasons import Reason

    assert set(REASONS) == {reason.value for reason in Reason}
    assert all(set(words) == {"ja", "en"} for words in (*REASONS.values(), *(row[0] for row in TYPES.values())))


HISTORIES = [("en-wide-dark", WIDE, "en", True), ("ja-phone", PHONE, "ja", False)]


@pytest.mark.req("E-07")
@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("name", "size", "language", "dark"), HISTORIES, ids=[look[0] for look in HISTORIES])
def test_a_history_is_shown_after_a_purpose_was_chosen_with_the_keyboard_alone(
    web: Any, screens: Any, name: str, size: dict[str, int], language: str, dark: bool
) -> None:
    """An officer who must answer a person today could not find the page, or would see it before it is recorded."""
    from playwright.sync_api import expect

    a_morning(web)
    called(web, "c-3", "小林 由美子", kana="こばやし ゆみこ", roman="Yumiko Kobayashi")
    for n in range(110):
        web.controller.record("PASSAGE", portal="front", subject={"cardholder": "c-3"}, at_ms=1_788_188_399_000 + n)
    web.caught_up()
    screen = screens(web, size, language, dark=dark)
    page = screen.page
    if size is PHONE:
        page.locator(".bar .menu").click()
    page.get_by_role("link", name="個人の履歴" if language == "ja" else "One person's history").click()
    expect(page.locator("#look-who")).to_be_visible()
    assert page.locator("table").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    screen.shot(f"history-{name}-empty")
    page.locator("#look-find").focus()
    page.keyboard.insert_text("コバヤシ" if language == "ja" else "yumi")
    expect(page.locator("#look-who option")).to_have_count(2)
    assert page.locator("#look-who").input_value() == "c-3"
    page.keyboard.press("Enter")
    expect(page.locator("#look-who")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # no purpose chosen: the browser asks for one
    expect(page.locator("#look-why")).to_be_focused()
    assert not [note for note in web.controller.heard_of("note") if note["type"] == "VIEW_PERSONAL"]
    page.locator("#look-why").select_option("disclosure")
    page.locator("#look-go").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history h2")).to_contain_text("小林 由美子" if language == "ja" else "Yumiko Kobayashi")
    expect(page.locator("#history tbody tr")).to_have_count(100)
    expect(page.locator("#history .recorded")).to_contain_text("開示請求" if language == "ja" else "asked to see it")
    assert "clearance" not in page.url
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    screen.shot(f"history-{name}")
    page.locator("#older").click()
    expect(page.locator("#history tbody tr")).to_have_count(12)
    screen.shot(f"history-{name}-older")
    looks = [note for note in web.controller.heard_of("note") if note["type"] == "VIEW_PERSONAL"]
    assert [(note["cardholder"], note["purpose"]) for note in looks] == [("c-3", "disclosure")] * 2
    assert screen.said == []


@pytest.mark.req("E-07")
@pytest.mark.needs("chromium")
def test_a_history_says_why_nothing_is_shown(web: Any, screens: Any) -> None:
    """An empty page would be taken for a person who was never there."""
    from playwright.sync_api import expect

    called(web, "c-1", "佐藤 美咲")
    screen = screens(web, PHONE, "ja")
    page = screen.page
    page.goto(f"{screen.home}/history?cardholder=c-1&purpose=audit")
    expect(page.locator("#history .empty")).to_contain_text("この人の記録はありません")
    screen.shot("history-nothing")
    page.goto(f"{screen.home}/history?cardholder=c-1")
    expect(page.locator("#problem")).to_contain_text("閲覧の目的が要ります")
    page.goto(f"{screen.home}/history?cardholder=c-9&purpose=audit")
    expect(page.locator("#problem")).to_contain_text("履歴は表示していません")
    web.controller.stop()
    page.goto(f"{screen.home}/history?cardholder=c-1&purpose=audit")
    expect(page.locator("#problem")).to_contain_text("履歴は表示していません")
    screen.shot("history-away")
