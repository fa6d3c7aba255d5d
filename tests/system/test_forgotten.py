"""A person who leaves is forgotten, and the log that names nobody still proves itself (E-08, D-23, E-07)."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.system.parts import ROOT, eventually
from tests.system.site import SATO, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

NAME = {"name": "伊集院 小百合", "kana": "いじゅういん さゆり", "roman": "IJUIN Sayuri"}
REGISTERS = {
    "credential": "credentials", "clearance": "clearances", "need_to_know": "needs-to-know", "roster": "rosters",
    "visit": "visits", "override": "overrides",
}  # fmt: skip


def sekisho(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sekisho", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def sent(officer: Any, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and answer, whatever it is."""
    request = urllib.request.Request(f"{officer.url}/api/v1{path}", None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Cookie", officer.officer().cookie)
    request.add_header("Sec-Fetch-Site", "same-origin")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def files_with_the_name(site: Site) -> list[str]:
    words = [word.encode() for word in NAME.values()] + [json.dumps(word)[1:-1].encode() for word in NAME.values()]
    return [
        str(file.relative_to(site.folder))
        for file in site.folder.rglob("*")
        if file.is_file() and any(word in file.read_bytes() for word in words)
    ]


@pytest.mark.req("E-07", "E-08", "D-23")
def test_a_person_is_forgotten_and_the_log_still_proves_itself(site):
    """Either the right to be forgotten breaks the log, or the log keeps the name for ever."""
    officer = site.api_starts()
    cardholder = next(row["cardholder"] for table, row in site.rows() if str(row.get("number")).upper() == SATO)
    eventually(lambda: sent(officer, f"/cardholders/{cardholder}")[0] == 200, 15, "the web process follows")
    officer.post(f"/cardholders/{cardholder}", NAME, method="PATCH")
    site.enters(SATO, "front")
    passage = site.recorded("PASSAGE", portal="front")
    assert passage["subject"]["cardholder"] == cardholder
    assert files_with_the_name(site) == [], "a name that can be read, in some file"

    status, refused = sent(officer, f"/cardholders/{cardholder}/history")
    assert status == 422 and refused["code"] == "no_purpose"
    eventually(lambda: site.found("COMMAND_REFUSED"), 15, "the attempt is in the ledger")
    assert site.found("COMMAND_REFUSED")[-1]["detail"]["code"] == "no_purpose"
    status, look = sent(officer, f"/cardholders/{cardholder}/history?purpose=disclosure")
    assert status == 200 and passage["seq"] in [event["seq"] for event in look["items"]]
    note = next(one for one in site.found("NOTE") if one["seq"] == look["recorded"])
    assert (note["subject"]["cardholder"], note["detail"]["purpose"]) == (cardholder, "disclosure")

    status, lasting = sent(officer, f"/cardholders/{cardholder}/forget", {"reason": "request"})
    assert status == 409 and lasting["code"] == "in_force" and len(lasting["in_force"]) > 3
    for one in lasting["in_force"]:
        officer.post(f"/{REGISTERS[one['register']]}/{one['id']}/end", {})
    status, done = sent(officer, f"/cardholders/{cardholder}/forget", {"reason": "request"})
    assert status == 200, done
    told = next(one for one in site.found("NOTE") if one["seq"] == done["seq"])
    assert (told["detail"]["kind"], told["subject"]["cardholder"]) == ("FORGOTTEN", cardholder)

    assert officer.get(f"/cardholders/{cardholder}")["name"] is None
    after = officer.get(f"/cardholders/{cardholder}/history?purpose=audit")
    assert passage["seq"] in [event["seq"] for event in after["items"]], "old events stay, under the pseudonym"
    assert files_with_the_name(site) == []
    export, key = site.folder / "export.jsonl", site.folder / "key"
    assert sekisho("ledger", "export", str(export), "--socket", str(site.socket)).returncode == 0
    key.write_text(sekisho("ledger", "key", "--socket", str(site.socket)).stdout)
    verified = sekisho("verify", str(export), "--key", str(key))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert files_with_the_name(site) == []
