"""`sekisho officer`: how the first officers come in, and how one comes back who lost his passkeys.

Asks the running controller at its own socket; it decides, records, and gives a ticket that is printed once, as a link.
Exit status: 0 done, 1 refused, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
import secrets
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from controller.clock import from_wall_ms
from controller.config import Site, SiteFileError, load_site
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import OfficerOrder, Refused
from controller.link.recorded import History
from controller.policy_log import next_revision
from sekisho.sources import linked
from sekisho.spoken import Words, print_json, print_lines, said, table, tell
from zones.authority import posts_of, signing_officers
from zones.moment import JST, Moment
from zones.policy import Policy

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

NAME: Final = "sekisho officer"
REQUEST_MS: Final = 10_000
USUAL_ROLES: Final = ("work-manager", "protection-officer")

_REFUSALS: Final = MappingProxyType(
    {
        "not_here": (
            "この操作は制御部のアカウントか root だけに許されています: `sudo -u sekisho sekisho officer …`",
            "only the controller's own account or root may do this: `sudo -u sekisho sekisho officer …`",
        ),
        "two_people": (
            "承認できる担当者が既に二名います。次の担当者は管理画面で提案し、二名が署名します",
            "there are two officers who can sign: propose the next one on the officers' pages, and both sign",
        ),
        "repeated": (
            "その担当者は既にいます。パスキーを失くした場合は `sekisho officer reset`",
            "there is such an officer already; if his passkeys are lost: `sekisho officer reset`",
        ),
        "not_an_officer": (
            "その担当者は在任していません: `sekisho officer list`",
            "there is no such officer in post: `sekisho officer list`",
        ),
    }
)
_LINK: Final[Words] = (
    "次のリンクを本人のブラウザーで開き、パスキーを登録してください（一回限り、{until}まで。制御部を再起動すると無効）",
    "open this in the officer's own browser and enrol a passkey (once, until {until}; a controller's start ends it)",
)


def run(arguments: argparse.Namespace) -> int:
    """One act at the console."""
    try:
        site = load_site(arguments.site)
    except SiteFileError as error:
        tell(str(error))
        return CANNOT_RUN
    try:
        return _list(site, arguments) if arguments.act == "list" else _invite(site, arguments)
    except LinkDown as error:
        tell(f"{NAME}: {error}; " + said(("制御部を起動してください", "start the controller first"), "both"))
        return CANNOT_RUN


def _invite(site: Site, arguments: argparse.Namespace) -> int:
    with LinkClient(site.socket, NAME) as client:
        order = _order(client.connect().boot, arguments)
        answer = client.invite(order)
    if isinstance(answer, Refused):
        told = _REFUSALS.get(answer.code)
        tell(f"{NAME} {arguments.act}: {answer.why if told is None else said(told, 'both')} [{answer.code}]")
        return NO
    link = f"{(arguments.page or _page_of(site)).rstrip('/')}/enrol#{answer.ticket}"
    until = from_wall_ms(answer.until_ms).astimezone(JST)
    if arguments.json:
        print_json({"officer": arguments.officer, "link": link, "until": until.isoformat()})
        return OK
    tell(said(tuple(words.format(until=f"{until:%H:%M}") for words in _LINK), "both"))  # type: ignore[arg-type]
    print(link)
    return OK


def _order(boot: str, arguments: argparse.Namespace) -> OfficerOrder:
    fields: dict[str, Any] = {
        "id": secrets.token_hex(16), "boot": boot, "not_after_ms": time.time_ns() // 1_000_000 + REQUEST_MS,
        "officer": arguments.officer,
    }  # fmt: skip
    if arguments.act == "reset":
        return OfficerOrder(act="reset", **fields)
    roles = tuple(role.upper().replace("-", "_") for role in arguments.roles or USUAL_ROLES)
    return OfficerOrder(
        act="invite", roles=roles, zones=tuple(arguments.zone), cardholder=arguments.cardholder, **fields
    )


def _page_of(site: Site) -> str:
    return site.officers.origins[0] if site.officers.origins else "http://localhost:8440"


def _list(site: Site, arguments: argparse.Namespace) -> int:
    policy = _policy(site.socket)
    today = Moment(at=from_wall_ms(time.time_ns() // 1_000_000), tick_ms=0).today
    signing = signing_officers(policy, today)
    rows = [
        {
            "officer": officer.id, "posts": sorted(posts_of(policy, officer, today)), "zones": list(officer.zones),
            "until": officer.until_on.isoformat(), "can_sign": officer.id in signing,
        }
        for officer in policy.officers.values()
        if officer.is_in_post(today)
    ]  # fmt: skip
    if arguments.json:
        print_json({"officers": rows})
        return OK
    if not rows:
        tell(said(("担当者がいません: `sekisho officer add`", "there is no officer: `sekisho officer add`"), "both"))
        return OK
    head = ("OFFICER", "POSTS", "ZONES", "UNTIL", "SIGNS")
    print_lines(table([head, *map(_line, rows)]))
    return OK


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    signs = "yes" if row["can_sign"] else "-"
    return row["officer"], ", ".join(row["posts"]), ", ".join(row["zones"]), row["until"], signs


def _policy(socket: Path) -> Policy:
    """The policy in force, folded from the records."""
    with LinkClient(socket, NAME) as client:
        size = client.connect().size
    history = History(lambda seq: linked(socket, seq, size), revision_of=next_revision)
    found = history.until(size - 1).policy if size else None
    return found or Policy()
