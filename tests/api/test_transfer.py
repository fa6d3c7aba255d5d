"""Registers as files, over a real server: out with two officers, in with a preview, undone in one step."""

from __future__ import annotations

import io
import json
import threading

import openpyxl
import pytest

from api.names import Name
from api.sheets.delimited import read_csv
from api.sheets.table import BYTES_MAX

PEOPLE = [
    ("cardholder", {"id": "c-01"}),
    ("cardholder", {"id": "c-02"}),
    ("cardholder", {"id": "c-gone", "ended_on": "2026-01-01"}),
]
ROWS = [
    *PEOPLE,
    ("roster", {"id": "r-01", "cardholder": "c-01", "zone": "lab", "from_on": "2026-01-01", "until_on": "2099-12-31",
                "review_on": "2099-01-01"}),
    ("credential", {"id": "k-01", "cardholder": "c-01", "number_hash": "ab" * 32, "last4": "0012", "state": "ACTIVE"}),
]  # fmt: skip
CHIEF = {"roles": ["PROTECTION_OFFICER"], "from_on": "2026-01-01", "until_on": "2099-12-31"}
JA = {"Accept-Language": "ja"}


@pytest.fixture(scope="module")
def house(shared):
    """A small register, and the one who looks after it."""
    shared.controller.edit(*ROWS)
    shared.caught_up()
    return shared


def read(house, content: bytes, register: str, *, removes: bool = False, headers: dict | None = None):
    """Bring a file in, and wait until it is read."""
    asked = {"register": register, **({"removes": "true"} if removes else {})}
    answer = house.client.post("/api/v1/imports", params=asked, content=content, headers=headers or {})
    assert answer.status_code == 202, answer.text
    return waited(house, answer.headers["location"])


def waited(house, place: str) -> dict:
    for _ in range(400):
        told = house.client.get(place).json()
        if told["state"] not in ("READING", "PROPOSING"):
            return told
        threading.Event().wait(0.02)
    raise AssertionError("it does not end")


def agreed(house, register: str, purpose: str = "audit") -> str:
    """A second officer agrees that a register goes out."""
    asked = house.client.post("/api/v1/agreements", json={"register": register, "purpose": purpose})
    assert asked.status_code == 201, asked.text
    name = asked.json()["id"]
    assert house.as_("officer-03").post(f"/api/v1/agreements/{name}/agree").status_code == 200
    return name


@pytest.mark.req("E-07")
def test_a_register_goes_out_with_two_officers_once_and_without_card_numbers(house):
    """One officer walks away with a list of everybody, or a list goes out that nobody can read back."""
    place = "/api/v1/exports/people"
    alone = house.client.get(place, params={"purpose": "audit"})
    assert (alone.status_code, alone.json()["code"]) == (409, "two_people")
    asked = house.client.post("/api/v1/agreements", json={"register": "people", "purpose": "audit"}).json()
    own = house.client.post(f"/api/v1/agreements/{asked['id']}/agree")
    assert (own.status_code, own.json()["code"]) == (409, "two_people")
    assert house.as_("GUARD").post(f"/api/v1/agreements/{asked['id']}/agree").status_code == 403
    for one in ("officer-01", "officer-03"):
        house.controller.edit(("officer", {**CHIEF, "id": one, "cardholder": "c-01"}))
    house.caught_up()
    same = house.as_("officer-03").post(f"/api/v1/agreements/{asked['id']}/agree")
    assert same.status_code == 409 and same.json()["code"] == "two_people", "one person under two pseudonyms"
    house.controller.edit(*(("officer", {**CHIEF, "id": one}) for one in ("officer-01", "officer-03")))
    house.caught_up()
    name = agreed(house, "people")
    assert name == asked["id"], "asked twice is asked once"
    other = house.client.get(place, params={"purpose": "incident", "agreement": name})
    assert other.status_code == 404
    answer = house.client.get(place, params={"purpose": "audit", "agreement": name}, headers=JA)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="sekisho-people.csv"'
    taken = read_csv(answer.content)
    assert taken.header[0] == "ID" and [row.cells[0] for row in taken.rows] == ["c-01", "c-02"]
    again = house.client.get(place, params={"purpose": "audit", "agreement": name})
    assert (again.status_code, again.json()["code"]) == (409, "two_people")
    (note,) = [one for one in house.controller.heard if one.get("type") == "EXPORT"]
    assert (note["officer"], note["second"], note["purpose"], note["count"]) == ("officer-01", "officer-03", "audit", 2)
    about_one = house.client.get("/api/v1/exports/credentials", params={"purpose": "audit", "format": "xlsx"})
    sheet = openpyxl.load_workbook(io.BytesIO(about_one.content)).worksheets[0]
    shown = [str(cell.value) for cell in sheet[2]]
    assert "0012" in shown and "ab" * 32 not in json.dumps(shown)


def test_cp932_says_who_cannot_be_written(house):
    """A person with a rare sign in the name is dropped from a list without a word."""
    house.parts.view.set_name(Name(cardholder="c-02", name="𠮷野"))
    answer = house.client.get("/api/v1/exports/people", params={"purpose": "audit", "encoding": "cp932"})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_in_cp932")
    assert answer.json()["places"] == [{"row": 3, "column": 2}]


@pytest.mark.parametrize(
    "register, content, faults",
    [
        ("people", "id,name\r\nC 1,佐藤\r\n", [(2, 1, "not_valid")]),
        ("people", "id,name\r\nc-gone,佐藤\r\n", [(2, 1, "ended")]),
        ("people", "id,name\r\nc-9,佐藤\r\nc-9,佐藤\r\n", [(3, 1, "twice")]),
        ("people", "id,name,colour\r\nc-9,佐藤,red\r\n", [(1, 3, "unknown_column")]),
        ("people", "name\r\n佐藤\r\n", [(1, 0, "missing_column")]),
        ("people", "id,name\r\nc-9,\r\n", [(2, 2, "needed")]),
        ("people", "id,name\r\nc-9,=1+1\r\n", [(2, 2, "formula")]),
        ("people", "id,name,種別\r\nc-01,佐藤,来訪者\r\n", [(2, 3, "fixed")]),
        ("people", "id,name,kind\r\nc-01,佐藤,king\r\n", [(2, 3, "not_valid")]),
        ("credentials", "cardholder,number\r\nnobody,04a2b3c4\r\n", [(2, 1, "unknown_cardholder")]),
        ("credentials", "cardholder,number\r\nc-01,xyz\r\n", [(2, 2, "not_valid")]),
        ("credentials", "id,cardholder,number\r\nk-01,c-01,04a2b3c4\r\n", [(2, 3, "number_given")]),
        ("rosters", "cardholder,zone\r\nc-02,moon\r\n", [(2, 2, "unknown_zone")]),
        ("rosters", "cardholder,zone,until_on\r\nc-01,lab,2020-01-01\r\n", [(2, 3, "order")]),
        ("rosters", "cardholder,zone,from_on,until_on,review_on\r\nc-02,lab,2026-13-01,2027-01-01,2027-01-01\r\n",
         [(2, 3, "not_valid")]),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_place_and_nothing_is_proposed(house, register, content, faults):
    """A file is taken by halves, or an officer looks for a fault in a thousand rows."""
    told = read(house, content.encode(), register)
    assert told["state"] == "FAULTY"
    assert [(one["row"], one["column"], one["code"]) for one in told["faults"]] == faults
    assert all(one["detail"] for one in told["faults"])
    answer = house.client.post(f"/api/v1/imports/{told['id']}/proposals")
    assert (answer.status_code, answer.json()["code"]) == (409, "import_not_ready")


def test_a_file_is_looked_at_proposed_signed_and_undone(house):
    """What comes in by file is in force unsigned, or cannot be taken back."""
    content = "cardholder,zone,from_on,until_on,review_on,is_escort\r\nc-01,lab,,2098-12-31,2098-12-01,はい\r\n"
    content += "c-02,office,2026-04-01,2099-01-01,2099-01-01,\r\n"
    told = read(house, content.encode("cp932"), "rosters")
    assert (told["state"], told["add"], told["change"], told["same"]) == ("READY", 1, 1, 0), told
    assert "2098-12-31" in told["rows"][0]["detail"]
    house.client.post(f"/api/v1/imports/{told['id']}/proposals")
    done = waited(house, f"/api/v1/imports/{told['id']}")
    assert done["state"] == "PROPOSED" and len(done["proposals"]) == 2, done
    assert house.parts.view.row("roster", "r-01")["until_on"] == "2099-12-31", "nothing is in force unsigned"
    for proposal in done["proposals"]:
        for officer in ("officer-01", "officer-03"):
            house.sign(proposal, officer)
    rows = {doc["cardholder"]: doc for doc in house.parts.view.rows("roster")}
    assert (rows["c-01"]["until_on"], rows["c-01"]["is_escort"], rows["c-02"]["zone"]) == ("2098-12-31", True, "office")
    undone = house.client.post(f"/api/v1/imports/{told['id']}/undo").json()
    assert len(undone["proposals"]) == 1 and undone["left"] == []
    for officer in ("officer-01", "officer-03"):
        house.sign(undone["proposals"][0], officer)
    rows = {doc["cardholder"]: doc for doc in house.parts.view.rows("roster")}
    assert rows["c-01"]["until_on"] == "2099-12-31" and "ended_on" in rows["c-02"]
    assert house.client.post(f"/api/v1/imports/{told['id']}/undo").status_code == 409


def test_an_export_comes_in_again_as_it_is(house):
    """A file that went out is full of changes when it comes back, and hides the one that was made."""
    answer = house.client.get("/api/v1/exports/credentials", params={"purpose": "audit", "format": "xlsx"}, headers=JA)
    told = read(house, answer.content, "credentials")
    assert (told["state"], told["same"], told["rows"]) == ("READY", 1, []), told


def test_rows_that_are_missing_are_taken_away_only_where_that_was_asked(house):
    """A list of newcomers takes everybody else's card away."""
    kept = read(
        house,
        b"id,cardholder\r\n,c-02\r\n".replace(b"id,cardholder\r\n,", b"cardholder,number\r\n").replace(
            b"c-02", b"c-02,04a2b3c4"
        ),
        "credentials",
    )
    assert (kept["add"], kept["remove"]) == (1, 0)
    whole = read(house, b"cardholder,number\r\nc-02,04a2b3c4\r\n", "credentials", removes=True)
    assert (whole["add"], whole["remove"]) == (1, 1)
    assert "04a2b3c4" not in json.dumps(whole), "a card number is shown"


def test_a_browser_sends_a_file_by_a_form_and_is_led_to_it(house):
    """The page's own form is not understood."""
    files = {"file": ("people.csv", "id,name\r\nc-77,山田\r\n".encode(), "text/csv")}
    answer = house.client.post(
        "/api/v1/imports", data={"register": "people"}, files=files, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 303 and answer.headers["location"].startswith("/transfer/imp-")
    waited(house, answer.headers["location"].replace("/transfer/", "/api/v1/imports/"))
    page = house.client.get(answer.headers["location"], headers={"Accept": "text/html"})
    assert page.status_code == 200 and "山田" in page.text


def test_ten_megabytes_are_taken_here_alone_and_no_more(house):
    """Somebody fills the memory of the box, or a large register cannot come in."""
    body = b"x" * (BYTES_MAX + 100_000)
    assert house.client.post("/api/v1/imports?register=people", content=body).json()["code"] == "file_too_large"
    big = read(house, b"id,name\r\n" + b"x" * (200 * 1024), "people")
    assert big["faults"][0]["code"] == "cell_too_long"
    for stranger in (house.anonymous(), house.page("made-up"), house.page(Authorization="Bearer skt_made-up")):
        assert stranger.post("/api/v1/imports", content=b"x" * 70_000).json()["code"] == "too_large"
    assert house.client.post("/api/v1/agreements", content=b"x" * 70_000).json()["code"] == "too_large"


def test_somebody_elses_file_is_not_shown(house):
    """An officer looks at card numbers that another one brought in."""
    told = read(house, "id,name\r\nc-77,山田\r\n".encode(), "people")
    assert house.as_("officer-03").get(f"/api/v1/imports/{told['id']}").status_code == 404
    assert house.as_("GUARD").get(f"/api/v1/imports/{told['id']}").status_code == 403
