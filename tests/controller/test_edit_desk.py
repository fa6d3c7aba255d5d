"""Signed changes at the engine's face: what a web process under somebody's control can, and cannot, bring about."""

from __future__ import annotations

import msgspec
import pytest

from controller.assertions import RelyingParty, check_assertion
from controller.link.challenge import change_challenge, enrolment_challenge
from controller.link.messages import (
    Done,
    EnrolKey,
    Invited,
    OfficerOrder,
    Prepare,
    Prepared,
    Refused,
    Signature,
    Suggest,
)
from controller.link.rows import row_to_doc
from simulators.passkey import SoftPasskey
from tests.controller.conftest import STRANGER, VKEY, VirtualSite
from tests.officers import ORIGIN, RP_ID, THREE, officer_puts, passkey, proposal, signature


def place(who: str = "h-new", **more: object) -> tuple[str, dict[str, object]]:
    period = {"from_on": "2026-11-01", "until_on": "2027-10-01", "review_on": "2027-01-01"}
    return "roster", {"id": f"r-{who}", "cardholder": who, "zone": "office", **period, **more}


def newcomer(site: VirtualSite) -> None:
    assert isinstance(site.proposes(("cardholder", {"id": "h-new"})), Done)


def refused(answer: object, code: str) -> bool:
    assert isinstance(answer, Refused), answer
    return answer.code == code


@pytest.mark.req("A-01", "A-31", "D-07")
def test_a_web_process_under_somebodys_control_cannot_change_who_may_enter(site):
    """Whoever breaks into the pages would let in whom he likes: with no signature, a borrowed one, a made up one."""
    newcomer(site)
    base = site.engine.policy.revision
    end = site.now_ms + 5_000
    asked = {"site": VKEY, "base": base, "not_after_ms": end}
    card = ("credential", {"id": "c-9", "cardholder": "h-new", "number": STRANGER, "state": "ACTIVE"})
    prepared = site.asks(Prepare(id="prepare-0001", puts=[card], officer="officer-01"))
    assert isinstance(prepared, Prepared)
    rows = [*prepared.puts, place()]
    good = proposal(rows, id="attack-00", **asked)
    assert refused(site.proposes(*rows, signers=()), "unsigned")
    assert refused(site.proposes(*rows, signers=("officer-01",)), "two_people")
    assert refused(site.proposes(*rows, signers=("officer-01", "officer-01")), "two_people")
    thief = SoftPasskey("the thief's own")
    challenge = change_challenge(id="attack-01", puts=rows, reason="other", **asked)
    made = thief.signs(challenge, RP_ID, ORIGIN)
    forged = Signature(
        credential=passkey("officer-02").credential, client_data=made.client_data.hex(),
        authenticator_data=made.authenticator_data.hex(), signature=made.signature.hex(),
    )  # fmt: skip
    own = thief.credential
    attacks = [
        # every signature is real, and was given for something else
        msgspec.structs.replace(good, id="attack-02"),
        msgspec.structs.replace(good, id="attack-00", puts=[*prepared.puts, place(is_opener=True)]),
        msgspec.structs.replace(good, id="attack-00", not_after_ms=end + 1),
        msgspec.structs.replace(good, id="attack-00", reason="joined"),
        proposal(rows, id="attack-03", **{**asked, "site": "another.example/site+00000000+vkey"}),
        msgspec.structs.replace(good, id="attack-01", signatures=(signature(challenge, "officer-01"), forged)),
        msgspec.structs.replace(
            good, id="attack-01",
            signatures=(signature(challenge, "officer-01"), msgspec.structs.replace(forged, credential=own)),
        ),
    ]  # fmt: skip
    for n, attack in enumerate(attacks):
        answer = site.asks(msgspec.structs.replace(attack, officer="officer-01"))
        assert isinstance(answer, Refused) and answer.code in {"bad_signature", "repeated"}, (n, answer)
    assert "h-new" not in {entry.cardholder for entry in site.engine.policy.policy.roster.values()}
    site.badges(STRANGER, "rd-office")
    assert site.last.type == "ACCESS_DENIED"
    told = [body for body in site.records if body.type == "EDIT_REFUSED"]
    assert len(told) >= 8, "every attempt is in the ledger"


@pytest.mark.req("A-27", "D-07")
def test_whoever_reads_the_record_can_hold_its_signatures_against_it(site):
    """The ledger would say who signed, and prove nothing."""
    newcomer(site)
    answer = site.proposes(
        ("clearance", {
            "id": "k-new", "cardholder": "h-new", "basis": "KEIZAI_ANPO", "notified_on": "2026-04-01",
            "last_valid_on": "2036-03-31", "recorded_by": "@1", "confirmed_by": "@2",
        }), signers=("officer-02", "officer-03"), reason="joined",
    )  # fmt: skip
    assert isinstance(answer, Done), answer
    body = site.records[-1]
    assert body.detail is not None and body.actor is not None
    assert (body.actor.officer, body.detail["weight"], body.detail["signed"]) == ("officer-02", "WIDENS", True)
    puts = msgspec.to_builtins(body.detail["edit"]["puts"])
    assert (puts[0][1]["recorded_by"], puts[0][1]["confirmed_by"]) == ("officer-02", "officer-03")
    for index, field, word in body.detail["stand_ins"]:
        puts[index][1][field] = word
    challenge = change_challenge(
        site=VKEY, id=body.detail["id"], base=body.detail.get("signed_base", body.detail["base"]), puts=puts,
        reason=body.detail["reason"], not_after_ms=body.detail["not_after_ms"],
    )  # fmt: skip
    for one, who in zip(body.detail["signatures"], ("officer-02", "officer-03"), strict=True):
        key = site.engine.policy.policy.by_passkey[one["credential"]]
        assert key.officer == who
        parts = {name: one[name] for name in ("client_data", "authenticator_data", "signature")}
        check_assertion(RelyingParty(), key.public_key, challenge, **parts)


@pytest.mark.req("A-04", "D-03")
def test_taking_away_takes_one_officer_and_acts_at_once(site):
    """A lost card would open doors until a second officer is found."""
    credential = next(iter(site.engine.policy.policy.credentials.values()))
    answer = site.changes(("credential", {"id": credential.id, "state": "LOST"}))
    assert isinstance(answer, Done)
    policy = site.engine.policy.policy
    answer = site.proposes(
        ("roster", {**dict(site_row(policy.roster["r-h-sato-office"])), "is_suspended": True}), signers=("officer-03",)
    )
    assert isinstance(answer, Done) and site.records[-1].detail["weight"] == "NARROWS"
    back = ("roster", {**dict(site_row(policy.roster["r-h-sato-office"])), "is_suspended": False})
    assert refused(site.proposes(back, signers=("officer-03",)), "two_people")
    assert isinstance(site.proposes(back, signers=("officer-03", "officer-01")), Done)


def site_row(row: object) -> dict[str, object]:
    return row_to_doc(row)[1]  # type: ignore[arg-type]


@pytest.mark.req("D-07")
def test_a_change_that_waited_is_taken_where_nothing_it_touches_was_changed_meanwhile(site):
    """A proposal would die each time that somebody opens a zone; or be taken over what the officers never saw."""
    newcomer(site)
    signed_on = site.engine.policy.revision
    assert isinstance(site.proposes(("cardholder", {"id": "h-other"})), Done)
    assert isinstance(site.changes(("credential", {"id": "c-h-sato", "state": "LOST"})), Done)
    assert isinstance(site.proposes(place(), base=signed_on), Done)
    assert site.records[-1].detail["signed_base"] == signed_on
    assert refused(site.proposes(place(is_escort=True), base=signed_on), "stale_base"), "his place was changed since"
    assert refused(site.proposes(place("h-other"), base="f" * 64), "stale_base")
    assert refused(site.proposes(place("h-other"), base=signed_on), "stale_base"), "he was not there when it was signed"


@pytest.mark.req("D-07")
def test_a_signature_runs_out(site):
    """A change signed in spring would be sent in autumn, when nobody remembers it."""
    newcomer(site)
    late = proposal(
        [place()], site=VKEY, id="late-0001", base=site.engine.policy.revision, not_after_ms=site.now_ms - 1
    )
    assert refused(site.asks(late), "expired")
    far = site.now_ms + 8 * 86_400_000
    early = proposal([place()], site=VKEY, id="early-001", base=site.engine.policy.revision, not_after_ms=far)
    assert refused(site.asks(early), "expired")


@pytest.mark.req("A-30", "D-07")
def test_an_officer_whose_post_or_passkey_ended_signs_nothing(site):
    """Somebody who left on Friday would let in a friend on Monday."""
    newcomer(site)
    two = ("officer-01", "officer-02")
    key = site_row(site.engine.policy.policy.officer_keys["pk-officer-03"])
    assert isinstance(site.proposes(("officer_key", {**key, "ended_on": "2026-11-24"}), signers=two), Done)
    assert refused(site.proposes(place(), signers=("officer-01", "officer-03")), "bad_signature")
    row = site_row(site.engine.policy.policy.officers["officer-02"])
    assert isinstance(site.proposes(*officer_puts("officer-04", site.now().today), signers=two), Done)
    assert isinstance(site.proposes(("officer", {**row, "ended_on": "2026-11-24"}), signers=("officer-01",)), Done)
    assert refused(site.proposes(place(), signers=two), "not_an_officer")
    assert isinstance(site.proposes(place(), signers=("officer-01", "officer-04")), Done)


# -- the console -----------------------------------------------------------------------------------------------------


def orders(site: VirtualSite, act: str, officer: str, **more: object) -> object:
    site.ids += 1
    fields = {"roles": ("WORK_MANAGER", "PROTECTION_OFFICER")} if act == "invite" else {}
    return site.asks(
        OfficerOrder(
            id=f"officer-order-{site.ids}", boot=site.boot, not_after_ms=site.now_ms + 3_000, act=act, officer=officer,
            **{**fields, **more},
        )
    )  # fmt: skip


def enrols(site: VirtualSite, ticket: str, key: SoftPasskey, **spoilt: object) -> object:
    site.ids += 1
    made = key.creates(
        enrolment_challenge(site=VKEY, ticket=str(spoilt.get("signed", ticket))),
        RP_ID,
        str(spoilt.get("origin", ORIGIN)),
    )
    return site.asks(
        EnrolKey(
            id=f"enrol-key-{site.ids}", ticket=ticket, client_data=made.client_data.hex(),
            authenticator_data=made.authenticator_data.hex(),
        )
    )  # fmt: skip


@pytest.mark.req("A-30", "B-14", "D-07")
def test_a_lost_passkey_is_replaced_at_the_console_once_and_loudly(site):
    """Both officers would be locked out for good; or anybody could enrol himself with an old link."""
    newcomer(site)
    assert refused(orders(site, "reset", "officer-09"), "not_an_officer")
    invited = orders(site, "reset", "officer-02")
    assert isinstance(invited, Invited) and site.records[-1].type == "OFFICER_RESET"
    another = SoftPasskey("officer-02 has another phone")
    assert refused(enrols(site, "00" * 16, another), "bad_ticket")
    assert refused(enrols(site, invited.ticket, another, origin="https://evil.example"), "bad_signature")
    assert refused(enrols(site, invited.ticket, another, signed="11" * 16), "bad_signature")
    assert isinstance(enrols(site, invited.ticket, another), Done)
    assert site.records[-1].type == "POLICY_EDITED" and site.records[-1].actor.officer == "console"
    assert refused(enrols(site, invited.ticket, SoftPasskey("a third phone")), "bad_ticket"), "a ticket works once"
    assert refused(site.proposes(place(), signers=("officer-01", "officer-02")), "bad_signature"), "the lost passkey"
    late = orders(site, "reset", "officer-01")
    assert isinstance(late, Invited)
    site.passes(61 * 60_000)
    assert refused(enrols(site, late.ticket, SoftPasskey("too late")), "bad_ticket")
    text = b"".join((record.body or b"") for record in site.ledger.scan(0))
    assert invited.ticket.encode() not in text, "the ledger holds no ticket"


@pytest.mark.req("D-07", "A-31")
def test_the_console_names_the_first_two_and_nobody_after_them(site):
    """Whoever has the machine for a minute would make himself an officer beside those who are there."""
    assert refused(orders(site, "invite", "officer-09"), "two_people")
    assert refused(orders(site, "invite", "officer-01"), "repeated")
    assert refused(orders(site, "burn", "officer-01"), "protocol")
    assert "OFFICER_INVITED" not in site.story()


@pytest.mark.req("D-07")
def test_a_vacant_post_of_protection_is_filled_at_the_console(site):
    """One stolen passkey would end the last protection officer, and nobody could ever be let in again."""
    policy = site.engine.policy.policy
    row = site_row(policy.officers["officer-03"])
    two = ("officer-01", "officer-02")
    manager = {**row, "roles": ["WORK_MANAGER"], "zones": ["office"]}
    assert isinstance(site.proposes(("officer", manager), signers=two), Done)
    assert isinstance(site.proposes(*officer_puts("officer-04", site.now().today), signers=two), Done)
    fourth = {**site_row(site.engine.policy.policy.officers["officer-04"]), "roles": ["WORK_MANAGER"]}
    assert isinstance(site.proposes(("officer", {**fourth, "zones": ["office"]}), signers=two), Done)
    assert refused(orders(site, "invite", "officer-09"), "two_people")
    for name in two:
        gone = {**site_row(site.engine.policy.policy.officers[name]), "ended_on": "2026-11-24"}
        assert isinstance(site.proposes(("officer", gone), signers=("officer-03",)), Done)
    assert isinstance(site.proposes(("cardholder", {"id": "h-new"}), signers=("officer-03",)), Done)
    assert refused(site.proposes(place(), signers=("officer-03", "officer-04")), "post_vacant")
    invited = orders(site, "invite", "officer-09", roles=("PROTECTION_OFFICER",))
    assert isinstance(invited, Invited), invited
    assert isinstance(enrols(site, invited.ticket, passkey("officer-09")), Done)
    assert isinstance(site.proposes(place(), signers=("officer-03", "officer-09")), Done)
    assert refused(orders(site, "invite", "officer-10"), "two_people")


@pytest.mark.req("A-31", "B-13")
def test_nobody_orders_anything_for_himself(site):
    """An officer whose PIN is locked, or who went in behind somebody, would put that right by himself."""
    puts = officer_puts("officer-04", site.now().today, cardholder="h-sato")
    assert isinstance(site.proposes(*puts, signers=("officer-01", "officer-02")), Done)
    for act in ("unlock_pin", "forgive_presence"):
        assert refused(site.orders(act, "h-sato", officer="officer-04"), "self_grant")
        assert isinstance(site.orders(act, "h-sato", officer="officer-01"), Done)


@pytest.mark.req("A-34")
def test_nobody_finds_out_the_numbers_of_cards_by_asking_for_their_hashes(site):
    """Whoever has the web process would try 65,536 numbers in a minute, and copy every card that has a short one."""

    def asked(nth: int) -> object:
        cards = [("credential", {"id": f"c-{n}", "number": f"{nth:04x}{n:04x}"}) for n in range(100)]
        return site.asks(Prepare(id=f"prepare-{nth:04}", puts=cards, officer="officer-01"))

    told = [asked(nth) for nth in range(60)]
    hashed = sum(isinstance(one, Prepared) for one in told)
    assert hashed == 49, "those of a whole company at once; the house has some cards already"
    assert refused(told[-1], "busy") and site.records[-1].type == "EDIT_REFUSED"
    site.passes(300_000)
    assert [isinstance(asked(nth), Prepared) for nth in (97, 98, 99)] == [True, False, False]


@pytest.mark.req("A-32", "D-07")
def test_break_glass_that_waited_is_not_for_whom_it_no_longer_should_be(site):
    """Somebody whose rights were taken on Tuesday would get in by what was signed on Monday."""
    newcomer(site)
    signed_on = site.engine.policy.revision
    glass = {
        "id": "o-1", "zone": "office", "cardholders": ["h-new"], "reason_code": "FLOOD", "started_by": "@1",
        "approved_by": "@2", "from_ms": site.now_ms, "until_ms": site.now_ms + 60_000,
    }  # fmt: skip
    assert isinstance(site.proposes(("cardholder", {"id": "h-new", "ended_on": "2026-11-24"})), Done)
    assert refused(site.proposes(("override", glass), base=signed_on), "stale_base")
    pin = {"id": "h-new", "salt": "0" * 32, "pin_hash": "1" * 64}
    assert refused(site.proposes(("pin", pin), base=signed_on), "stale_base")


@pytest.mark.req("A-01")
def test_what_the_console_suggests_changes_nothing(site):
    """A card written at the console would open doors that no officer gave it."""
    newcomer(site)
    before = site.engine.policy
    answer = site.asks(Suggest(id="suggest-01", puts=[place()], officer="officer-01", reason="joined"))
    assert isinstance(answer, Done) and site.engine.policy is before
    assert site.records[-1].type == "EDIT_SUGGESTED" and site.records[-1].detail["edit"]["puts"][0][0] == "roster"
    bad = Suggest(id="suggest-02", puts=[place("h-nobody")], officer="officer-01")
    assert refused(site.asks(bad), "edit_refused")
    assert tuple(sorted(site.engine.policy.policy.officers)) == THREE
