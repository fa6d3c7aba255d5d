"""What a trial of one device found, told as it happens or as one document at the end."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, Protocol

from controller.cards import last4
from readers.events import (
    CardRead,
    CardUnread,
    DeviceOffline,
    DeviceOnline,
    Event,
    InputChanged,
    KeysEntered,
    LineFault,
    LineNoise,
    MessageRefused,
    OutputReported,
    ReaderDistrusted,
    ReaderIdentified,
)
from sekisho.spoken import Words, print_json, said

_LINES: Final = MappingProxyType(
    {
        "contact": (("扉", "the leaf"), ("開", "OPEN"), ("閉", "closed")),
        "rex": (("退出要求", "exit request"), ("押", "PRESSED"), ("離", "released")),
        "tamper": (("筐体", "the enclosure"), ("開", "OPEN"), ("閉", "closed")),
        "fire": (("火災報知", "the fire alarm"), ("作動", "ON"), ("平常", "off")),
        "power": (("商用電源", "mains power"), ("停電", "LOST"), ("正常", "there")),
    }
)
_CLOSE_IT: Final[Words] = ("筐体を閉めてください", "close the enclosure")
_MARKS_JA: Final = MappingProxyType({"ok": "良", "no": "否", "note": "・"})
_MARKS_EN: Final = MappingProxyType({"ok": "ok", "no": "NO", "note": "- "})
_MARKS_BOTH: Final = MappingProxyType({"ok": "良 ok", "no": "否 NO", "note": "・ - "})
_DISTRUSTS: Final = MappingProxyType(
    {
        "replaced": ("承認した読取装置と別のものです", "it is another reader than the one that was approved"),
        "downgraded": ("暗号通信ができないと言っています", "it says that it has no secure channel"),
        "key_lost": ("当所の鍵を知りません", "it does not know its key"),
        "default_key": ("初期鍵で応答します", "it answers to the factory's default key"),
        "macs_failed": ("通信が改ざんされています", "its frames fail their sums of authenticity"),
    }
)


class Trial(Protocol):
    """A device that is being driven: `Bench.run`, or the same over a thread's events."""

    def run(self, for_s: float, on_event: Callable[[Event], object], is_over: Callable[[], bool]) -> bool: ...


class Report:
    """Lines on standard output, or one JSON document. `is_good` until something failed."""

    def __init__(self, device: str, lang: str, *, is_json: bool) -> None:
        self.lang = lang
        self.is_good = True
        self.events: list[Event] = []
        self._is_json = is_json
        self._device = device
        self._steps: list[dict[str, Any]] = []
        self._relays: dict[int | None, bool] = {}
        self._inputs: dict[tuple[str, str], bool] = {}

    def good(self, step: str, words: Words, **facts: Any) -> None:
        """Something that is as it should be."""
        self._add(step, words, "ok", facts)

    def bad(self, step: str, words: Words, do: Words | None = None, **facts: Any) -> None:
        """Something that is wrong, and what to do about it."""
        self.is_good = False
        if do is not None:
            facts["do"] = do[1]
        self._add(step, words, "no", facts)
        if do is not None and not self._is_json:
            print(f"      → {said(do, self.lang)}", flush=True)

    def note(self, step: str, words: Words, **facts: Any) -> None:
        """Something that happened."""
        self._add(step, words, "note", facts)

    def end(self) -> int:
        """The exit status; the document where one was asked for."""
        if self._is_json:
            print_json({"device": self._device, "is_good": self.is_good, "steps": self._steps})
        return 0 if self.is_good else 1

    def _add(self, step: str, words: Words, outcome: str, facts: dict[str, Any]) -> None:
        self._steps.append({"step": step, "outcome": outcome, "words": words[1]} | facts)
        if not self._is_json:
            mark = {"ja": _MARKS_JA, "en": _MARKS_EN}.get(self.lang, _MARKS_BOTH)[outcome]
            print(f"{mark} {said(words, self.lang)}", flush=True)

    # -- events ----------------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Tell what the device said."""
        self.events.append(event)
        match event:
            case InputChanged():
                name, active, resting = _LINES.get(event.line, ((event.line, event.line), ("入", "ON"), ("切", "off")))
                now = active if event.is_active else resting
                where = event.source
                words = (f"入力 {where} {name[0]}: {now[0]}", f"input {where}: {name[1]} {now[1]}")
                if self._inputs.get((where, event.line)) is event.is_active:
                    return
                self._inputs[where, event.line] = event.is_active
                facts: dict[str, Any] = {"line": event.line, "source": where, "is_active": event.is_active}
                if event.line == "tamper" and event.is_active:
                    self.bad("input", words, _CLOSE_IT, **facts)
                else:
                    self.note("input", words, **facts)
            case LineFault():
                words = (f"配線異常 {event.source} {event.line}: {event.fault}", f"line {event.line}: {event.fault}")
                self.bad("input", words)
            case CardRead():
                self._hear_card(event)
            case CardUnread():
                self.note("card", (f"読めません: {event.why}", f"not read: {event.why}"))
            case KeysEntered():
                count = len(event.digits)
                self.note("keypad", (f"暗証番号 {count} 桁", f"{count} digits were typed"))
            case OutputReported():
                state = ("入", "ON") if event.is_on else ("切", "off")
                at = "" if event.channel is None else f" {event.channel}"
                words = (f"出力{at}: {state[0]}", f"relay{at}: {state[1]}")
                if self._relays.get(event.channel, False) != event.is_on:
                    self._relays[event.channel] = event.is_on
                    self.note("relay", words, is_on=event.is_on, channel=event.channel)
            case _:
                self._hear_rest(event)

    def _hear_card(self, event: CardRead) -> None:
        proof = event.proof
        facts: dict[str, Any] = {"last4": last4(event.number), "scheme": None if proof is None else proof.scheme}
        if proof is None:
            words = (f"カード …{facts['last4']} (番号のみ)", f"card …{facts['last4']}, its number alone")
            self.note("card", words, **facts, is_genuine=None)
        elif proof.is_genuine:
            words = (f"カード …{facts['last4']} {proof.scheme} 本物", f"card …{facts['last4']} {proof.scheme}, genuine")
            self.good("card", words, **facts, is_genuine=True)
        else:
            words = (
                f"カード …{facts['last4']} {proof.scheme} 偽物",
                f"card …{facts['last4']} {proof.scheme}, NOT genuine",
            )
            self.bad("card", words, **facts, is_genuine=False)

    def _hear_rest(self, event: Event) -> None:
        match event:
            case ReaderIdentified():
                who = f"{event.maker} {event.model} {event.serial} {event.firmware}"
                words = (f"読取装置: 製造者・型・製番・版 {who}", f"reader: maker, model, serial, firmware {who}")
                self.good("identity", words, identity=event.identity, firmware=event.firmware)
            case ReaderDistrusted():
                self.bad("trust", _DISTRUSTS[event.why], why=event.why)
            case LineNoise():
                words = (f"雑音 {event.count} バイト", f"{event.count} bytes of noise on the line")
                self.note("noise", words, count=event.count)
            case MessageRefused() if event.source == self._device:
                self.bad("message", (f"不正な伝文: {event.why}", f"a message was refused: {event.why}"))
            case DeviceOnline() | DeviceOffline() | _:
                return


def wait_for(trial: Trial, report: Report, kind: type, for_s: float) -> bool:
    """Until an event of this kind came; whether it did."""
    before = len(report.events)
    return trial.run(for_s, report.hear, lambda: any(isinstance(one, kind) for one in report.events[before:]))


def wait_online(trial: Trial, report: Report, for_s: float) -> bool:
    """Until the device is there, or is said not to be."""
    before = len(report.events)
    ends = (DeviceOnline, DeviceOffline)
    trial.run(for_s, report.hear, lambda: any(isinstance(one, ends) for one in report.events[before:]))
    return any(isinstance(one, DeviceOnline) for one in report.events[before:])


def pause(trial: Trial, report: Report, for_s: float) -> None:
    """Let the device go on for a while."""
    trial.run(for_s, report.hear, lambda: False)
