"""What an authentic reply of a reader in its channel means: from bodies to events.

Owns the last known state of inputs, outputs and tamper, the keypad's entry and the PKOC question under way. A reader
that is not trusted is believed only where belief can open nothing: a REX, and whatever raises an alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from readers.events import (
    CardProof,
    CardRead,
    CardUnread,
    Event,
    InputChanged,
    KeysEntered,
    LineFault,
    MakerReplied,
    OutputReported,
)
from readers.protocols.osdp import commands, pkoc, replies
from readers.protocols.osdp.commands import Command
from readers.protocols.osdp.keypad import Keypad
from readers.protocols.osdp.values import PdPlan

HELD_BACK_MS: Final = 1_000
"""Readers keep what happens while the line is down, and tell it afterwards, one thing a poll and without a time: that
opens nothing. It may last longer than this: it is over when a poll brought nothing.
"""
BACKLOG_MS_MAX: Final = 60_000
"""No reader keeps so much; one whose input flutters for ever is heard again after this."""
TAMPER: Final = "tamper"
POWER: Final = "power"
REX: Final = "rex"
_INPUT_STATES: Final = {0: False, 1: True}
_MAKER_BYTES: Final = 3


class Reports:
    """Everything that one reader says besides its identity and its key.

    Args:
        plan: the reader.
        random: for challenges.
    """

    def __init__(self, plan: PdPlan, random: Callable[[int], bytes]) -> None:
        self._plan = plan
        self._random = random
        self._keypad = Keypad()
        self._lines: dict[str, bool | None] = {}
        self._outputs: dict[int, bool] = {}
        self._is_case_open = False
        self._is_reader_open = False
        self._held_back_until_ms = 0
        self._has_backlog = False
        self._question: pkoc.Question | None = None
        self._present = pkoc.Assembly()
        self._is_total_first = True
        self._piece_bytes = 64
        self.is_trusted = False
        self.wanted: list[Command] = []
        self._events: list[Event] = []
        self._readers: Final[dict[int, Callable[[bytes, int], None]]] = {
            replies.LSTATR: self._local,
            replies.ISTATR: self._inputs,
            replies.OSTATR: self._output_states,
            replies.RSTATR: self._attached,
            replies.RAW: self._raw,
            replies.FMT: self._formatted,
            replies.KEYPAD: self._keys,
            replies.MFGREP: self._maker,
        }

    def begin(self, now_ms: int, receive_bytes: int) -> None:
        """The channel stands after the line, or the reader, was away: nothing is known any more."""
        self.forget()
        self._lines.clear()
        self._outputs.clear()
        self._piece_bytes = max(16, min(receive_bytes, 512) - 40)
        self.hold_back(now_ms)

    def hold_back(self, now_ms: int) -> None:
        """From now on, for a second and until the reader has nothing more to say, what it says may be old."""
        self._held_back_until_ms = now_ms + HELD_BACK_MS
        self._has_backlog = True
        self._keypad.clear()

    def forget_outputs(self) -> None:
        """What the outputs do is not known."""
        self._outputs.clear()

    def had_nothing(self) -> None:
        """A poll brought nothing: whatever it kept has been told."""
        self._has_backlog = False

    def forget(self) -> None:
        """The channel is gone: half an entry and half an answer with it."""
        self._keypad.clear()
        self._question = None
        self._present.clear()
        self.wanted.clear()

    @property
    def deadline_ms(self) -> int | None:
        """When the card that was asked must have answered."""
        return None if self._question is None else self._question.until_ms

    def time_out(self, now_ms: int) -> list[Event]:
        """A card that was asked and did not answer in time."""
        if self._question is None or now_ms < self._question.until_ms:
            return []
        self._question = None
        return [CardUnread(source=self._plan.source, why="no answer")]

    def take(self, code: int, body: bytes, now_ms: int) -> list[Event]:
        """The events of one authentic reply."""
        self._events = []
        reader = self._readers.get(code)
        if reader is not None:
            reader(body, now_ms)
        return self._events

    # -- inputs, outputs, tamper ---------------------------------------------------------------------------------

    def _local(self, body: bytes, now_ms: int) -> None:
        found = replies.local_status(body)
        if found is not None:
            self._is_case_open = found[0]
            self._line(TAMPER, now_ms, is_active=self._is_case_open or self._is_reader_open)
            self._line(POWER, now_ms, is_active=found[1])

    def _attached(self, body: bytes, now_ms: int) -> None:
        if body:
            self._is_reader_open = any(body)
            self._line(TAMPER, now_ms, is_active=self._is_case_open or self._is_reader_open)

    def _inputs(self, body: bytes, now_ms: int) -> None:
        for number, state in enumerate(body):
            line = self._plan.inputs.get(number)
            if line is None:
                continue
            if state in _INPUT_STATES:
                self._line(line, now_ms, is_active=_INPUT_STATES[state])
            elif self._lines.get(line, True) is not None:
                is_first = line not in self._lines
                self._lines[line] = None
                self._tell(
                    LineFault(
                        source=self._plan.source,
                        line=line,
                        fault="short" if state == 2 else "cut",
                        is_level_report=is_first,
                    )
                )

    def _line(self, line: str, now_ms: int, *, is_active: bool) -> None:
        before = self._lines.get(line)
        if line in self._lines and before is is_active:
            return
        # a press of REX from while the line was down frees nobody now, and may be a burglar's; a leaf may still be told
        is_level = line not in self._lines or (line == REX and self._is_held_back(now_ms))
        if self.is_trusted or is_active or line == REX:
            self._lines[line] = is_active
            self._tell(InputChanged(source=self._plan.source, line=line, is_active=is_active, is_level_report=is_level))

    def _output_states(self, body: bytes, _now_ms: int) -> None:
        for number, state in enumerate(body):
            is_on = state != 0
            if self._outputs.get(number) is not is_on:
                self._outputs[number] = is_on
                self._tell(OutputReported(source=self._plan.source, is_on=is_on, channel=number + 1))

    # -- cards and keys ------------------------------------------------------------------------------------------

    def _is_held_back(self, now_ms: int) -> bool:
        has_backlog = self._has_backlog and now_ms < self._held_back_until_ms + BACKLOG_MS_MAX
        return has_backlog or now_ms < self._held_back_until_ms

    def _raw(self, body: bytes, now_ms: int) -> None:
        self._card(replies.card_number(body), now_ms)

    def _formatted(self, body: bytes, now_ms: int) -> None:
        self._card(replies.formatted_number(body), now_ms)

    def _card(self, number: bytes | None, now_ms: int, proof: CardProof | None = None) -> None:
        if not self.is_trusted:
            return
        if number is None:
            self._tell(CardUnread(source=self._plan.source, why="number malformed"))
            return
        self._keypad.clear()  # digits from before this card are somebody else's
        self._tell(
            CardRead(
                source=self._plan.source,
                number=number,
                kind="osdp",
                proof=proof,
                is_held_back=self._is_held_back(now_ms),
            )
        )

    def _keys(self, body: bytes, now_ms: int) -> None:
        pressed = replies.keys(body)
        if pressed is None or not self.is_trusted or not self._plan.has_keypad:
            return
        for digits in self._keypad.press(pressed, now_ms):
            self._tell(KeysEntered(source=self._plan.source, digits=digits, is_held_back=self._is_held_back(now_ms)))

    # -- makers, PKOC --------------------------------------------------------------------------------------------

    def _maker(self, body: bytes, now_ms: int) -> None:
        if len(body) < _MAKER_BYTES or not self.is_trusted:
            return
        oui, payload = body[:_MAKER_BYTES], body[_MAKER_BYTES:]
        if oui != pkoc.OUI or self._plan.pkoc_reader_id is None:
            self._tell(MakerReplied(source=self._plan.source, oui=oui, payload=payload))
            return
        one = pkoc.fragment(payload)
        if one is None:
            self._tell(CardUnread(source=self._plan.source, why="answer malformed"))
        elif one.code == pkoc.CARD_PRESENT:
            self._card_present(one, self._plan.pkoc_reader_id, now_ms)
        elif one.code == pkoc.AUTH_RESPONSE:
            self._card_answered(one, now_ms)
        elif one.code in pkoc.READER_ERRORS:
            self._question = None
            self._tell(CardUnread(source=self._plan.source, why="reader error"))

    def _card_present(self, one: pkoc.Fragment, reader_id: bytes, now_ms: int) -> None:
        message = self._present.add(one) if one.total else b""
        if message is None:
            return
        if not pkoc.speaks_our_version(message):
            self._tell(CardUnread(source=self._plan.source, why="version unknown"))
            return
        challenge = self._random(pkoc.CHALLENGE_BYTES)
        self._question = pkoc.Question(challenge, now_ms + pkoc.WITHIN_MS)
        asked = pkoc.request(challenge, reader_id, has_parameters=one.is_total_first)
        self.wanted.append(commands.keep_active(pkoc.WITHIN_MS))
        self.wanted += [
            commands.manufacturer(pkoc.OUI, payload)
            for payload in pkoc.fragments(
                pkoc.AUTH_REQUEST, asked, self._piece_bytes, is_total_first=one.is_total_first
            )
        ]

    def _card_answered(self, one: pkoc.Fragment, now_ms: int) -> None:
        question = self._question
        if question is None:
            self._tell(CardUnread(source=self._plan.source, why="not asked"))
            return
        message = question.assembly.add(one)
        if message is None:
            return
        self._question = None
        answer = pkoc.judge(message, question.challenge)
        if answer is None:
            why = "reader error" if pkoc.is_error(message) else "answer malformed"
            self._tell(CardUnread(source=self._plan.source, why=why))
            return
        proof = CardProof(scheme="pkoc", is_genuine=answer.is_genuine, nonce=question.challenge)
        self._card(answer.number, now_ms, proof)

    def _tell(self, event: Event) -> None:
        self._events.append(event)
