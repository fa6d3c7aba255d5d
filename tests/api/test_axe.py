"""Every page is held against axe-core (WCAG 2.0 to 2.2, A and AA, and its best practices), in Japanese and English,
light and dark, at a desk and on a phone; and the browser has nothing to complain of (A-29: an officer who is tired).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from api.access import MAY
from api.pages.frame import MENU
from tests.api.lived_in import moves_in
from zones.moment import JST
from zones.officers import Role

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE, PHONE = {"width": 1366, "height": 860}, {"width": 390, "height": 844}
TABLET = {"width": 1024, "height": 768}

STRANGERS = ("/sign-in", "/enrol", "/own-link")
DEEPER = (
    "/alarms/{seq}", "/proposals/{proposal}", "/doors/{portal}", "/zones/{zone}/roster", "/zones/{zone}/roster/new",
    "/roster/{roster}", "/people/new", "/people/{person}", "/people/{person}/leave",
    "/items/{item}", "/review/{zone}", "/events/{decision}", "/visitors/new", "/map/draw", "/transfer", "/agreements",
    "/print/{register}", "/sessions", "/officers/new", "/officers/officer-02", "/why?number=7QK4", "/nowhere",
)  # fmt: skip
"""Pages behind those of the menu; {…} as `moves_in` names it."""

MEANT = {"/nowhere": " 404 ", "/sign-in": " 401 "}
"""What a browser says of an answer that is as it should be: no such page; not signed in (the page asks by itself)."""

LOOK = """async (tags) => {
  const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']});
  const told = (node) => node.html.slice(0, 160) + ' ' + (node.any[0] || {message: ''}).message;
  return found.violations.map(one => one.id + ': ' + one.nodes.slice(0, 3).map(told).join(' | '));
}"""
WHAT_IS_WIDE = """() => [...document.querySelectorAll('main *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth && !one.closest('.scroll'))
  .slice(0, 5).map(one => one.outerHTML.slice(0, 100))"""
IS_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def places(shared: Any) -> dict[str, str]:
    """The house is filled once."""
    return moves_in(shared, datetime.now(JST).date())


class Reader:
    """A browser that is held against the rules at each page it opens."""

    def __init__(self, browser: Any, web: Any, who: str | None) -> None:
        self.home = web.url.replace("127.0.0.1", "localhost")
        self.context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
        self.context.add_init_script(path=str(AXE))
        if who is not None:
            secret = web.sign_in(who).headers["set-cookie"].partition("=")[2].partition(";")[0]
            held = {"domain": "localhost", "path": "/", "secure": True, "httpOnly": True, "sameSite": "Strict"}
            self.context.add_cookies([{"name": "__Host-sekisho", "value": secret, **held}])
        self.page = self.context.new_page()
        self.found: list[str] = []
        self.where = ""
        self.page.on("console", lambda said: self._complains(said.type, f"{said.text} {said.location.get('url', '')}"))
        self.page.on("pageerror", lambda error: self._complains("error", str(error)))

    def _complains(self, kind: str, text: str) -> None:
        is_meant = any(self.where.startswith(place) and status in text for place, status in MEANT.items())
        if kind in ("error", "warning") and not is_meant:
            self.found.append(f"{self.where} {kind}: {text[:300]}")

    def looks_at(self, address: str, language: str) -> None:
        """A page in one language, by day and by night."""
        self.where = f"{address} ({language})"
        self.page.set_viewport_size(WIDE)
        self.page.emulate_media(color_scheme="light")
        answer = self.page.goto(f"{self.home}{address}{'&' if '?' in address else '?'}lang={language}")
        if answer.status == 404 and not address.startswith("/nowhere"):
            self.found.append(f"{self.where}: there is no such page")
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme=theme)
            self._judges(theme)
        for size in (WIDE, TABLET, PHONE):
            self.page.set_viewport_size(size)
            if self.page.evaluate(IS_WIDE):
                wide = self.page.evaluate(WHAT_IS_WIDE)
                self.found.append(f"{self.where}: scrolls sideways at {size['width']} px: {wide}")

    def _judges(self, theme: str) -> None:
        self.found += [f"{self.where} {theme}: {one}" for one in self.page.evaluate(LOOK, TAGS)]


def menu(web: Any, role: Role) -> list[str]:
    """The addresses of the menu that a role may open."""
    there = {prefix + route.path for prefix, route in web.server.config.app.state.routes}
    places = [place for _, part in MENU for place in part]
    return [one.address for one in places if one.address in there and one.permission in MAY[role]]


@pytest.mark.needs("chromium")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_can_be_read_by_everybody(browser: Any, shared: Any, places: dict[str, str], language: str) -> None:
    """An officer who sees badly, uses the keyboard or a phone, or works at night could not do his work."""
    seen = menu(shared, Role.PROTECTION_OFFICER)
    visits = (
        ("officer-01", (*seen, *(one.format(**places) for one in DEEPER))),
        ("auditor-01", [one for one in menu(shared, Role.AUDITOR) if one not in seen]),
        ("line-01", ["/"]),
        (None, STRANGERS),
    )
    found = []
    for who, addresses in visits:
        reader = Reader(browser, shared, who)
        for address in addresses:
            reader.looks_at(address, language)
        reader.context.close()
        found += reader.found
    assert not found, "\n".join(found)


LONG = """() => [...document.querySelectorAll('table.events tbody tr')].map(row => {
  row.querySelector('.what span').textContent = '権限による入室許可を取り消しました（再確認）';
  row.querySelector('.who').textContent = 'Bartholomew-Christopherson 長谷川健太郎左衛門';
  row.querySelector('.where').textContent = '第二情報システム開発室北側防火扉（常時閉鎖・避難経路）';
  row.querySelector('.why').textContent = '番号を伝えてください: NEED_TO_KNOW_EXPIRED_FOR_THE_ITEM_OF_THIS_ZONE';
  row.querySelector('td.number').textContent = '1234567'; }).length"""
"""Events as a large company has them."""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("language", ["ja", "en"])
def test_long_words_do_not_push_the_first_page_aside(browser: Any, shared: Any, places: Any, language: str) -> None:
    """A long reason hides the newest alarm to the right of the screen."""
    reader = Reader(browser, shared, "officer-01")
    reader.page.goto(f"{reader.home}/?show=all&lang={language}")
    for width in (1366, 1200, 1024, 993, 390):
        reader.page.set_viewport_size({"width": width, "height": 860})
        rows, is_wide = reader.page.evaluate(f"[({LONG})(), {IS_WIDE}]")  # at once: the page moves by itself
        assert rows and not is_wide, (width, reader.page.evaluate(WHAT_IS_WIDE))
    reader.context.close()
