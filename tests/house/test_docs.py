"""What the pages say of the code is so."""

from __future__ import annotations

import re

from tests.house.sources import ROOT, files

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
DECISION = ROOT / "docs" / "decision.md"
PICTURES = "pictures/"  # tests/house/test_pictures.py
RULE_ROW = re.compile(r"^\|\s*\**`?(D[0-9]{2})`?\**\s*\|", re.MULTILINE)


def test_links_between_pages_lead_somewhere():
    """The officer on shift follows a page to a page that is not there."""
    findings = []
    for path in files():
        if path.suffix == ".md":
            text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / path).read_text("utf-8"), flags=re.DOTALL)
            for target in LINK.findall(text):
                file, _, heading = target.partition("#")
                if re.match(r"[a-z]+:", target) or PICTURES in file:
                    continue
                at = (ROOT / path).parent / file if file else ROOT / path
                if not at.exists():
                    findings.append(f"{path}: {target} does not exist")
                elif heading and at.suffix == ".md" and heading not in anchors(at.read_text("utf-8")):
                    findings.append(f"{path}: {target} has no such heading")
    assert not findings, "\n".join(["", *findings])


def anchors(text: str) -> set[str]:
    """Headings as links name them."""
    titles = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).strip().replace(" ", "-") for title in titles}


def test_rules_have_the_same_numbers_in_the_page_and_in_the_code():
    """An officer reads D08 in a refusal and looks up another rule."""
    assert DECISION.exists(), "docs/decision.md is missing: it is normative for zones.decision.rules"
    from zones.decision.rules import RULES

    told = RULE_ROW.findall(DECISION.read_text("utf-8"))
    assert told == [rule.number for rule in RULES], "docs/decision.md and zones.decision.rules.RULES differ"
    for rule in RULES:
        first = (rule.check.__doc__ or "").strip()
        assert first.startswith(f"{rule.number}."), (
            f"{rule.check.__name__} says {first[:20]!r} and stands as {rule.number}"
        )
