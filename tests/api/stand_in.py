"""A controller stand-in that speaks the link's lines by hand: JSON over a Unix socket, none of our own codecs.

It records what it is told and streams it back, and can be made to refuse, to go away, to fall silent, to lose records.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

CLASSES = {
    "ACCESS_GRANTED": "access", "ACCESS_DENIED": "access", "PASSAGE": "access", "DOOR_FORCED": "alarm",
    "DOOR_HELD": "alarm", "POLICY_EDITED": "policy", "RELEASED": "command", "NOTE": "view",
}  # fmt: skip

ZONES = [
    {"id": "site", "name_ja": "敷地", "name_en": "Site", "kind": 0},
    {"id": "office", "name_ja": "執務室", "name_en": "Office", "kind": 1, "parent": "site"},
    {"id": "lab", "name_ja": "管理区域", "name_en": "Laboratory", "kind": 2, "parent": "office"},
    {"id": "vault", "name_ja": "取扱室", "name_en": "Vault", "kind": 3, "parent": "lab", "items": ["item-1"],
     "accepted_bases": ["KEIZAI_ANPO"], "anti_passback": "HARD"},
]  # fmt: skip
PORTALS = [
    {"id": "front", "name_ja": "正面玄関", "name_en": "Front door", "outer": "site", "inner": "office"},
    {"id": "side", "name_ja": "通用口", "name_en": "Side door", "outer": "site", "inner": "office", "is_escape": True},
    {"id": "lab-east", "name_ja": "管理区域入口", "name_en": "Laboratory entrance", "outer": "office", "inner": "lab"},
    {"id": "vault-door", "name_ja": "取扱室扉", "name_en": "Vault door", "outer": "lab", "inner": "vault"},
]
HOUSE: list[tuple[str, dict[str, Any]]] = [("zone", zone) for zone in ZONES] + [("portal", row) for row in PORTALS]


class StandIn:
    """The controller's end of the socket at `path`."""

    def __init__(self, path: Path, vkey: str = "stand-in+00000000+AAAA") -> None:
        self.path = path
        self.vkey = vkey
        self.boot = "boot-1"
        self.revision = "0" * 64
        self.records: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.skipped: set[int] = set()
        self.status: dict[str, Any] = {}
        self.is_silent = False
        self.swallows_answers = False
        self.hangs_up = False
        self.devices: list[dict[str, Any]] = []
        self.cards: list[dict[str, Any]] = []
        self._awaited = 0
        self._used: set[str] = set()
        self.passkeys: dict[str, str] = {}
        self._touched: list[tuple[str, set[tuple[str, str]]]] = []
        self._changed = threading.Condition(threading.RLock())
        self._server: socket.socket | None = None
        self._lines: list[socket.socket] = []

    # -- what tests do with it ----------------------------------------------------------------------------------

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self.path))
        self._server.listen(16)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
        self.path.unlink(missing_ok=True)
        lines, self._lines = self._lines, []
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        with self._changed:
            self._changed.notify_all()

    def restart(self) -> None:
        self.stop()
        self.boot = f"boot-{int(self.boot[5:]) + 1}"
        self.start()

    def record(self, kind: str, **fields: Any) -> int:
        """Commit a record; its number."""
        with self._changed:
            seq = len(self.records)
            body = {"v": 1, "node": "n", "boot": self.boot, "at_ms": time.time_ns() // 1_000_000, "tz": "+09:00",
                    "clock": "trusted", "type": kind, **fields}  # fmt: skip
            text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            salt = f"{seq:064x}"
            digest = hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()
            leaf = {"body": digest, "class": CLASSES.get(kind, "system"), "seq": seq, "v": 1}
            self.records.append(
                {
                    "is": "record",
                    "seq": seq,
                    "leaf": json.dumps(leaf, separators=(",", ":")),
                    "salt": salt,
                    "body": text,
                }
            )
            self._changed.notify_all()
            return seq

    def edit(
        self, *puts: tuple[str, dict[str, Any]], drops: list[tuple[str, str]] | None = None, name: str = "x",
        signers: list[str] | None = None, not_after_ms: int | None = None,
    ) -> int:  # fmt: skip
        """Record an edit of policy, as from the site's files; or as `signers` signed it."""
        with self._changed:
            base = self.revision
            edit = {"puts": [list(put) for put in puts], "drops": [list(drop) for drop in drops or []]}
            self.revision = hashlib.sha256((base + json.dumps(edit)).encode()).hexdigest()
            self._touched.append((base, {(table, row["id"]) for table, row in puts}))
            keys = [row for table, row in puts if table == "officer_key"]
            self.passkeys |= {row["credential"]: row["officer"] for row in keys}
            detail = {"id": name, "edit": edit, "revision": self.revision, "base": base, "signed": bool(signers)}
            detail |= {"not_after_ms": not_after_ms}
            return self.record("POLICY_EDITED", detail=detail)

    def set_status(self, **fields: Any) -> None:
        with self._changed:
            self.status |= fields
            self._changed.notify_all()

    def heard_of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["is"] == kind]

    # -- the line -----------------------------------------------------------------------------------------------

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            for text in line.makefile("rb"):
                message = json.loads(text)
                self.heard.append(message)
                if message["is"] == "subscribe":
                    return self._stream(line, message["from_seq"])
                answer = self._answer(message)
                if self.hangs_up and message["is"] == "propose":
                    return line.shutdown(socket.SHUT_RDWR)
                if answer is not None:
                    _send(line, answer)
        except (OSError, ValueError):
            pass

    def _answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        kind = message["is"]
        if kind == "hello":
            return {"is": "welcome", "node": "n", "boot": self.boot, "size": len(self.records),
                    "revision": self.revision, "vkey": self.vkey}  # fmt: skip
        if kind == "ask_devices":
            return {"is": "devices", "id": message["id"], "devices": self.devices}
        if kind == "await_card":
            return self._await_card(message)
        with self._changed:
            answer = self._judge(kind, message)
        return None if self.swallows_answers else answer

    def _await_card(self, message: dict[str, Any]) -> dict[str, Any]:
        """The card that a test holds to the reader, in its time."""
        end = time.monotonic() + message["for_ms"] / 1000
        with self._changed:
            self._awaited += 1
            mine = self._awaited
            self._changed.notify_all()
            while not self.cards and mine == self._awaited and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            if self.cards and mine == self._awaited:
                return {"is": "card_shown", "id": message["id"], **self.cards.pop()}
        code = "expired" if mine == self._awaited else "busy"
        return {"is": "refused", "id": message["id"], "code": code, "why": "no card"}

    def hold_card(self, **card: Any) -> None:
        """Somebody holds a card of nobody to a reader."""
        with self._changed:
            self.cards.append({"number_hash": "ab" * 32, "last4": "c2d3", **card})
            self._changed.notify_all()

    def _judge(self, kind: str, message: dict[str, Any]) -> dict[str, Any]:  # noqa: C901 - one branch per message
        name = message["id"]
        if self.refusals:
            return {"is": "refused", "id": name, "why": "because", **self.refusals.pop(0)}
        if code := "repeated" if name in self._used else _complaint(message):
            return {"is": "refused", "id": name, "code": code, "why": "used before, or not as it must be"}
        self._used.add(name)
        if message.get("not_after_ms", 2**53) < time.time_ns() // 1_000_000:
            return {"is": "refused", "id": name, "code": "expired", "why": "late"}
        if kind in ("propose", "prepare", "suggest"):
            return getattr(self, f"_{kind}")(message)
        if kind == "enrol_key":
            return {"is": "done", "id": name, "seq": self.edit(name=name), "revision": self.revision}
        if kind == "order":
            what = {"forgive_presence": "PRESENCE_FORGIVEN", "unlock_pin": "PIN_UNLOCKED", "reset_fire": "FIRE_RESET"}
            who = {"subject": {"cardholder": message["cardholder"]}} if message.get("cardholder") else {}
            seq = self.record(what[message["act"]], detail={"id": name}, **who)
        elif kind == "command":
            if message["boot"] != self.boot:
                return {"is": "refused", "id": name, "code": "other_boot", "why": "restarted"}
            seq = self.record("RELEASED", portal=message["portal"], detail={"id": name})
        elif kind == "handle_alarm":
            told = {key: message[key] for key in ("id", "kind", "row", "cause", "note", "seq")}
            seq = self.record("ALARM_HANDLED", detail=told, actor={"officer": message["officer"]})
        elif kind == "review_log":
            looks = [json.loads(one["body"]) for one in self.records if '"LOG_REVIEWED"' in one["body"]]
            first = looks[-1]["detail"]["to_seq"] + 1 if looks else 0
            told = {"id": name, "from_seq": first, "to_seq": message["to_seq"], "code": message["outcome"]}
            incident = {"incident": message["incident"]} if message.get("incident") else {}
            seq = self.record("LOG_REVIEWED", detail={**told, **incident}, actor={"officer": message["officer"]})
        else:
            seq = self.record(
                "NOTE", detail={"id": name, "kind": message["type"], "purpose": message.get("purpose") or ""},
                actor={"officer": message["officer"]},
                **({"subject": {"cardholder": message["cardholder"]}} if message.get("cardholder") else {}),
            )  # fmt: skip
        return {"is": "done", "id": name, "seq": seq}

    def _prepare(self, message: dict[str, Any]) -> dict[str, Any]:
        puts = [[table, _hashed(row)] for table, row in message["puts"]]
        return {"is": "prepared", "id": message["id"], "puts": puts}

    def _suggest(self, message: dict[str, Any]) -> dict[str, Any]:
        edit = {"puts": message["puts"], "drops": []}
        detail = {"id": message["id"], "edit": edit, "reason": message.get("reason", "other")}
        seq = self.record("EDIT_SUGGESTED", detail=detail, actor={"officer": message["officer"]})
        return {"is": "done", "id": message["id"], "seq": seq}

    def _propose(self, message: dict[str, Any]) -> dict[str, Any]:
        """A change is made where nothing it touches was changed since, by whoever signed it."""
        name, puts = message["id"], message["puts"]
        bases = [base for base, _ in self._touched]
        since = self._touched[bases.index(message["base"]) :] if message["base"] in bases else []
        is_known = message["base"] == self.revision or message["base"] in bases
        if not is_known or any(places & {(table, row["id"]) for table, row in puts} for _, places in since):
            return {"is": "refused", "id": name, "code": "stale_base", "why": "stale"}
        signers = [self.passkeys.get(one["credential"], "?") for one in message.get("signatures", ())]
        if not signers:
            return {"is": "refused", "id": name, "code": "unsigned", "why": "nobody signed"}
        if not all(_is_over(one, _challenge(self.vkey, message)) for one in message["signatures"]):
            return {"is": "refused", "id": name, "code": "bad_signature", "why": "made over something else"}
        names = dict(zip(("@1", "@2"), signers, strict=False))
        rows = [(table, {field: _put_in(names, value) for field, value in row.items()}) for table, row in puts]
        if len(set(signers)) < len(signers) or "@2" in json.dumps(rows):
            return {"is": "refused", "id": name, "code": "two_people", "why": "another must sign"}
        seq = self.edit(*rows, name=name, signers=signers, not_after_ms=message["not_after_ms"])
        return {"is": "done", "id": name, "seq": seq, "revision": self.revision}

    def _stream(self, line: socket.socket, at: int) -> None:
        told = 0.0
        while line in self._lines:
            with self._changed:
                new = [record for record in self.records[at:] if record["seq"] not in self.skipped]
                at = len(self.records)
                status = {"is": "status", "at_ms": time.time_ns() // 1_000_000, "boot": self.boot, "size": at,
                          "revision": self.revision, "is_ledger_writable": True, "is_clock_trusted": True,
                          "deviations": [], "devices_offline": [], **self.status}  # fmt: skip
            if self.is_silent:
                with self._changed:
                    self._changed.wait(0.02)
                continue
            for record in new:
                _send(line, record)
            if new or time.monotonic() - told > 0.3:
                _send(line, status)
                told = time.monotonic()
            with self._changed:
                if len(self.records) == at:
                    self._changed.wait(0.1)


def _send(line: socket.socket, message: dict[str, Any]) -> None:
    line.sendall(json.dumps(message, ensure_ascii=False).encode() + b"\n")


def _put_in(names: dict[str, str], value: Any) -> Any:
    return names.get(value, value) if isinstance(value, str) else value


def _challenge(site: str, message: dict[str, Any]) -> bytes:
    """What its officers must have signed."""
    change = {name: message[name] for name in ("base", "id", "not_after_ms", "puts")}
    change |= {"reason": message.get("reason", "other"), "site": site}
    text = json.dumps(change, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"sekisho change v1\n" + text.encode()).digest()


def _is_over(signature: dict[str, str], challenge: bytes) -> bool:
    said = json.loads(bytes.fromhex(signature["client_data"]))["challenge"]
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)) == challenge


def _complaint(message: dict[str, Any]) -> str | None:
    """What is wrong with a note, as the controller sees it."""
    if message["is"] != "note":
        return None
    if message["type"] in ("VIEW_PERSONAL", "FORGOTTEN") and not message.get("purpose"):
        return "no_purpose"
    return "two_people" if message.get("count", 0) > 1 and not message.get("second") else None


def _hashed(row: dict[str, Any]) -> dict[str, Any]:
    if "pin" in row:
        return {"id": row["id"], "salt": "5a" * 16, "pin_hash": hashlib.sha256(row["pin"].encode()).hexdigest()}
    if "number" not in row:
        return row
    kept = {key: value for key, value in row.items() if key != "number"}
    digest = hashlib.sha256(b"key" + row["number"].encode()).hexdigest()
    return {**kept, "number_hash": digest, "last4": row["number"][-4:]}
