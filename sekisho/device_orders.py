"""Orders about readers and keys, given to a running controller over its socket: install, renew, custodian left.

Only root and the controller's own account are listened to (B-18). Owns the following of what comes of an order; the
controller decides, and records it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from controller.link.client import LinkClient, LinkDown
from controller.link.messages import DeviceOrder, Devices, Done, Record, Refused, Status
from sekisho.devices import next_steps
from sekisho.spoken import Progress, Words, lines_of, print_json, said, tell

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3

NAME: Final = "sekisho devices"
REQUEST_MS: Final = 10_000
RENEW_S: Final = 30.0
GRACE_S: Final = 20.0
_ACTS: Final = MappingProxyType(
    {
        "install": "install_on",
        "install-off": "install_off",
        "renew-key": "renew_key",
        "custodian-left": "custodian_left",
    }
)
_ENDS: Final = MappingProxyType({"install_on": "OSDP_INSTALL_OFF", "renew_key": "KEY_RENEWED"})
_FAILED: Final = "KEYS_FAILED"

_REFUSALS: Final = MappingProxyType(
    {
        "not_here": (
            "この操作は制御部のアカウントか root だけに許されています: `sudo -u sekisho sekisho devices …`",
            "only the controller's own account or root may do this: `sudo -u sekisho sekisho devices …`",
        ),
        "has_key": (
            "固有の鍵を持ち、応答しています。鍵を替えるには `sekisho devices renew-key`",
            "it has a key of its own and answers with it; `sekisho devices renew-key` gives it another",
        ),
        "two_people": ("異なる二名の担当者が必要です", "this takes two different officers"),
        "unknown_device": (
            "暗号通信を行う読取装置として設定ファイルにありません。`sekisho devices show` で確かめてください",
            "there is no such reader with a secure channel in the site file; `sekisho devices show` lists them",
        ),
        "offline": (
            "読取装置が応答しません。`sekisho devices show` で状態を確かめてください",
            "the reader does not answer on its secure channel; `sekisho devices show` tells why",
        ),
        "busy": (
            "別の読取装置の設置が進行中です。終わるまで待つか `sekisho devices install-off` で終えてください",
            "another reader is being installed: wait for it, or end it with `sekisho devices install-off`",
        ),
        "other_boot": (
            "制御部が再起動しました。もう一度実行してください",
            "the controller was restarted: run it once more",
        ),
    }
)


def run(arguments: argparse.Namespace, socket: Path) -> int:
    """Give the order that `arguments.devices` names, follow it, and return the exit status."""
    order = _Order(arguments, socket)
    try:
        return order.run()
    except LinkDown as error:
        tell(f"{order.name}: {error}")
        return CANNOT_RUN


class _Order:
    """One order and what comes of it."""

    def __init__(self, arguments: argparse.Namespace, socket: Path) -> None:
        self.name = f"{NAME} {arguments.devices}"
        self._arguments = arguments
        self._lang = arguments.lang
        self._socket = socket
        self._act = _ACTS[arguments.devices]
        self._reader: str = getattr(arguments, "reader", "")
        self._told: dict[str, Any] = {"act": arguments.devices, "reader": self._reader or None}

    def run(self) -> int:
        """Ask, follow where there is something to follow, and tell."""
        officers = getattr(self._arguments, "officers", None) or [self._arguments.officer]
        if len(set(officers)) != len(officers):
            tell(f"{self.name}: {said(_REFUSALS['two_people'], self._lang)}")
            return MISUSE
        if self._act == "install_on" and self._has_key():
            return self._refused(Refused(id="", code="has_key", why="it has a key of its own and answers"))
        with LinkClient(self._socket, NAME) as client:
            welcome = client.connect()
            answer = client.request(self._message(welcome.boot, officers))
        if isinstance(answer, Refused):
            return self._refused(answer)
        self._told["seq"] = answer.seq
        if self._act not in _ENDS:
            return self._done_at_once()
        return self._follow(answer)

    def _message(self, boot: str, officers: list[str]) -> DeviceOrder:
        return DeviceOrder(
            id=secrets.token_hex(16),
            boot=boot,
            not_after_ms=time.time_ns() // 1_000_000 + REQUEST_MS,
            act=self._act,
            officer=officers[0],
            second=officers[1] if len(officers) > 1 else None,
            device=self._reader,
            minutes=getattr(self._arguments, "minutes", 10),
            who=getattr(self._arguments, "who", None),
        )

    def _has_key(self) -> bool:
        """Whether this reader works with its key: install mode would only take it away from its portal."""
        found = next((one for one in self._devices().devices if one.id == self._reader), None)
        return found is not None and found.is_online and found.is_trusted and found.is_commissioned

    def _refused(self, answer: Refused) -> int:
        words = _REFUSALS.get(answer.code, (answer.why, answer.why))
        if self._arguments.json:
            print_json(self._told | {"outcome": "refused", "why": answer.code, "means": words[1]})
        else:
            for line in lines_of(words, self._lang):
                tell(f"{self.name}: {line}")
        return NO

    # -- orders that are done when they are recorded ---------------------------------------------------------------

    def _done_at_once(self) -> int:
        if self._act == "custodian_left":
            due = sorted({one.key for one in self._devices().keys if one.is_due})
            listed = ", ".join(due) or "-"
            words = (
                f"記録しました。更新すべき鍵: {listed} (`sekisho keys make`、`sekisho devices renew-key`)",
                f"recorded. Keys that are due: {listed} (`sekisho keys make`, `sekisho devices renew-key`)",
            )
            return self._tell_end(words, is_done=True, more={"keys_due": due})
        words = (f"{self._reader} の設置を終えました", f"install mode of {self._reader} is over")
        return self._tell_end(words, is_done=True)

    # -- orders that take time -------------------------------------------------------------------------------------

    def _follow(self, answer: Done) -> int:
        lasts_s = self._arguments.minutes * 60.0 if self._act == "install_on" else RENEW_S
        until = time.monotonic() + lasts_s
        progress = Progress()
        try:
            with LinkClient(self._socket, NAME) as client:
                client.connect()
                for message in client.stream(answer.seq + 1):
                    if time.monotonic() > until + GRACE_S:
                        break
                    if isinstance(message, Status):
                        progress.show(self._waiting(until))
                    elif (status := self._heard(message, progress)) is not None:
                        return status
        except KeyboardInterrupt:
            progress.end()
            self._left_alone()
            return OK
        finally:
            progress.end()
        words = ("結果が分かりません。`sekisho devices show`", "no end was heard of: `sekisho devices show` tells more")
        tell(f"{self.name}: {said(words, self._lang)}")
        return CANNOT_RUN

    def _waiting(self, until: float) -> str:
        left_s = max(0, int(until - time.monotonic()))
        clock = f"{left_s // 60}:{left_s % 60:02}"
        if self._act == "install_on":
            return said(
                (f"{self._reader} を待っています 残り {clock}", f"waiting for {self._reader}, {clock} left"), self._lang
            )
        return said((f"{self._reader} の鍵を更新中", f"renewing the key of {self._reader}"), self._lang)

    def _heard(self, record: Record, progress: Progress) -> int | None:
        """The exit status where this record ends it."""
        body = json.loads(record.body) if record.body is not None else {}
        detail = body.get("detail") or {}
        if detail.get("device") != self._reader:
            return None
        if body["type"] == "READER_IDENTIFIED":
            progress.end()
            who = " ".join(str(detail.get(key, "")) for key in ("maker", "model", "serial", "firmware"))
            tell(said((f"読取装置: {who}", f"the reader says that it is {who}"), self._lang))
            self._told["identity"] = detail.get("identity")
        elif body["type"] == _FAILED:
            progress.end()
            words = (f"鍵を保存できません: {detail.get('why')}", f"the key could not be kept: {detail.get('why')}")
            return self._tell_end(words, is_done=False)
        elif body["type"] == _ENDS[self._act]:
            progress.end()
            return self._ended(detail)
        return None

    def _ended(self, detail: dict[str, Any]) -> int:
        if not detail.get("is_done"):
            why = detail.get("why") or "refused"
            words = (
                f"{self._reader} は鍵を受け取りませんでした ({why})。前のままです。配線と初期化を確かめてください",
                f"{self._reader} did not take the key ({why}); all is as before: look at its cable, and reset it",
            )
            return self._tell_end(words, is_done=False)
        words = (f"{self._reader} に固有の鍵が入りました", f"{self._reader} has a key of its own now")
        return self._tell_end(words, is_done=True)

    def _tell_end(self, words: Words, *, is_done: bool, more: dict[str, Any] | None = None) -> int:
        steps = self._steps() if is_done and self._reader else []
        if self._arguments.json:
            outcome = {"outcome": "done" if is_done else "failed", "next": [step[1] for step in steps]}
            print_json(self._told | outcome | (more or {"means": words[1]}))
        else:
            for line in lines_of(words, self._lang):
                print(line)
            for step in steps:
                print(f"    → {said(step, self._lang)}")
        return OK if is_done else NO

    def _steps(self) -> list[Words]:
        """What remains to be done about this reader."""
        found = next((one for one in self._devices().devices if one.id == self._reader), None)
        if found is None:
            return []
        if self._act == "install_on":  # what stands in the controller's list may be older than the record just heard
            found = replace(found, is_commissioned=True)
        return next_steps(found)

    def _devices(self) -> Devices:
        with LinkClient(self._socket, NAME) as client:
            return client.devices()

    def _left_alone(self) -> None:
        words = (
            f"設置は続いています。終えるには `sekisho devices install-off {self._reader} --officer A`",
            f"install mode goes on; `sekisho devices install-off {self._reader} --officer A` ends it",
        )
        if self._act == "install_on":
            tell(said(words, self._lang))
