"""A key store held to a model of it: any order of acts, restarts and power cuts."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.keystore.errors import KeyRefused
from controller.keystore.store import KeyStore
from controller.keystore.values import KeyState
from controller.keystore.weak import weakness
from tests.controller.keystore.keys import TODAY, opened

READERS = st.sampled_from(["rd-1", "rd-2", "rd-3"])
PURPOSES = st.sampled_from(["desfire_read", "ntag424_read"])
PEOPLE = st.sampled_from([(), ("h-1",), ("h-1", "officer-01"), ("officer-02",)])


class PowerCut(BaseException):
    """The next write does not get to its end."""


class KeysOfASite(RuleBasedStateMachine):
    """What is kept: reader -> (key, pending), purpose -> versions that count, and which names are due."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "keys"
        self.seed = 0
        self.store: KeyStore = None  # type: ignore[assignment]
        self.keys: dict[str, tuple[bytes, tuple[str, ...]]] = {}
        self.pending: dict[str, tuple[bytes, tuple[str, ...]]] = {}
        self.versions: dict[str, list[int]] = {}
        self.custodians: dict[str, tuple[str, ...]] = {}
        self.due: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.store = opened(self.folder)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder.parent)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.seed += 1
        self.store = opened(self.folder, seed=self.seed)

    @rule(reader=READERS, step=st.integers(1, 30))
    def power_is_cut_in_a_proposal(self, reader: str, step: int) -> None:
        """Before step number `step` of the write; a write may need fewer."""
        real, left = os.open, [step]

        def cut(*args: object, **more: object) -> int:
            left[0] -= 1
            if not left[0]:
                raise PowerCut
            return real(*args, **more)  # type: ignore[arg-type]

        before = self.store.pending_key(reader)
        os.open = cut  # type: ignore[assignment]
        try:
            kept = self.store.propose_reader_key(reader, TODAY)
        except PowerCut:
            kept = None
        finally:
            os.open = real
        self.store._file.close()
        self.seed += 1
        self.store = opened(self.folder, seed=self.seed)
        found = self.store.pending_key(reader)
        assert found == kept or (kept is None and (found == before or found is not None))
        if found is not None and found != before:
            self.pending[reader] = found, ()

    @rule(reader=READERS, people=PEOPLE)
    def propose(self, reader: str, people: tuple[str, ...]) -> None:
        self.pending[reader] = self.store.propose_reader_key(reader, TODAY, people), people

    @rule(reader=READERS)
    def confirm(self, reader: str) -> None:
        if reader in self.pending:
            self.store.confirm_reader_key(reader)
            self.keys[reader] = self.pending.pop(reader)
            self.due.discard(reader)
        else:
            try:
                self.store.confirm_reader_key(reader)
            except KeyRefused:
                return
            raise AssertionError("a key out of nowhere")

    @rule(reader=READERS)
    def withdraw(self, reader: str) -> None:
        self.store.withdraw_reader_key(reader)
        self.pending.pop(reader, None)

    @rule(purpose=PURPOSES, people=PEOPLE)
    def rotate(self, purpose: str, people: tuple[str, ...]) -> None:
        self.versions.setdefault(purpose, []).insert(0, self.store.rotate(purpose, TODAY, people))
        self.custodians[purpose] = people
        self.due.discard(purpose)

    @precondition(lambda self: any(len(rows) > 1 for rows in self.versions.values()))
    @rule(purpose=PURPOSES)
    def retire(self, purpose: str) -> None:
        if len(self.versions.get(purpose, ())) > 1:
            self.store.retire(purpose, self.versions[purpose].pop())

    @rule(who=st.sampled_from(["h-1", "officer-01", "officer-02", "nobody"]))
    def custodian_left(self, who: str) -> None:
        self.store.custodian_left(who)
        self.due |= {purpose for purpose, held in self.custodians.items() if who in held}
        self.due |= {reader for reader, (_, held) in self.keys.items() if who in held}

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if self.store is None:
            return
        for reader in ("rd-1", "rd-2", "rd-3"):
            assert self.store.reader_key(reader) == self.keys.get(reader, (None,))[0]
            assert self.store.pending_key(reader) == self.pending.get(reader, (None,))[0]
        for purpose in ("desfire_read", "ntag424_read"):
            assert self.store.versions(purpose) == tuple(self.versions.get(purpose, ()))
        assert self.store.rotation_due() == self.due
        known = [key for key, _ in (*self.keys.values(), *self.pending.values())]
        assert len(set(known)) == len(known)
        assert all(weakness(key) is None for key in known)
        active = [row for row in self.store.listing() if row.state == KeyState.ACTIVE]
        assert len({row.name for row in active}) == len(active)


TestKeysOfASite = KeysOfASite.TestCase
TestKeysOfASite.__doc__ = "Some order of acts and power cuts would lose a key, give one twice, or forget who left."
TestKeysOfASite.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
