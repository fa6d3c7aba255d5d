"""Files that come in: read and held against a register in the background, looked at, then proposed; undone in one step.

A file with a fault proposes nothing. What is proposed is what was looked at: a row that changed meanwhile stops it.
Card numbers of a file stay in memory until the controller has made hashes of them, for half an hour at most.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from api.access import Who
from api.live import now_ms
from api.names import Name
from api.problems import Problem, log_fault
from api.proposal import IN_FORCE, Proposal
from api.proposals import open_proposal
from api.register import is_there, today
from api.sheets.files import read_table
from api.sheets.table import SheetFault
from api.transfer.names_moved import rename
from api.transfer.preview import Fault, Move, Preview, Standing, preview
from api.transfer.registers import REGISTERS, Register
from api.transfer.tables import TransferRow

if TYPE_CHECKING:
    from api.parts import Parts
    from api.view import Snapshot

KEPT_MAX: Final = 8
KEPT_MS: Final = 30 * 60_000
CHUNK: Final = 100
KINDS: Final = ("remove", "change", "add")
"""In this order: what takes away is not held up by what needs two people."""

Doc = dict[str, Any]
Puts = list[tuple[str, Doc]]


@dataclass(slots=True, kw_only=True)
class Import:
    """One file. `state`: READING, READY, FAULTY (its faults say why), PROPOSING, PROPOSED, STOPPED (`code` says why
    not all of it was proposed). `total` 0: not known yet.
    """

    id: str
    register: str
    officer: str
    removes: bool
    made_ms: int
    state: str = "READING"
    count: int = 0
    total: int = 0
    preview: Preview | None = None
    proposals: list[str] = field(default_factory=list)
    renamed: int = 0
    code: str = ""
    why: str = ""

    @property
    def is_busy(self) -> bool:
        """Whether something is still being done."""
        return self.state in ("READING", "PROPOSING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What undoing came to: proposals that were made for it, those that were withdrawn, and ids of rows that have been
    changed since and stay as they are.
    """

    proposals: tuple[str, ...]
    withdrawn: int
    left: tuple[str, ...]
    names: int


class Imports:
    """Files that came in lately, in memory; what was proposed of them in api.db at `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: OrderedDict[str, Import] = OrderedDict()
        self._names: dict[str, dict[str, Name]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="imports")

    def close(self) -> None:
        """End; what is being proposed is ended after its present proposal."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- read -----------------------------------------------------------------------------------------------------

    def begin(self, here: Parts, who: Who, register: Register, content: bytes, *, removes: bool) -> Import:
        """Read a file in the background. Raises Problem where too much waits."""
        one = Import(
            id=f"imp-{secrets.token_hex(8)}", register=register.code, officer=who.officer, removes=removes,
            made_ms=now_ms(),
        )  # fmt: skip
        with self._lock:
            self._drop_old()
            if sum(kept.is_busy for kept in self._kept.values()) >= KEPT_MAX // 2:
                raise Problem("busy", 503, headers={"Retry-After": "5"})
            self._kept[one.id] = one
        self._pool.submit(self._attempt, one, lambda: self._read(here, who, one, content))
        return one

    def get(self, who: Who, name: str) -> Import:
        """A file that this officer sent. Raises Problem 404."""
        with self._lock:
            self._drop_old()
            one = self._kept.get(name)
        if one is None or one.officer != who.officer:
            raise Problem("not_found", 404)
        return one

    def _drop_old(self) -> None:
        """The oldest, and those that nobody came back to."""
        old = [name for name, one in self._kept.items() if not one.is_busy and one.made_ms < now_ms() - KEPT_MS]
        for name in old + list(islice(self._kept, max(0, len(self._kept) - KEPT_MAX))):
            self._kept.pop(name, None)

    def _attempt(self, one: Import, work: Callable[[], str]) -> None:
        """The rim of the thread: whatever happens, the file has a state that says so. `work` gives the next one."""
        try:
            state = work()
        except Problem as problem:
            one.code, one.why, state = problem.code, str(problem.members.get("why", "")), "STOPPED"
        except Exception as error:  # noqa: BLE001  the rim: a fault of ours is told as one, and its words are not
            log_fault(error, "IMPORT", one.register)
            one.code, state = "internal", "STOPPED"
        one.state = state

    def _read(self, here: Parts, who: Who, one: Import, content: bytes) -> str:
        register = REGISTERS[one.register]

        def progress(nth: int) -> None:
            one.count = nth

        try:
            taken = read_table(content)
        except SheetFault as error:
            faults = tuple(Fault(row=each.place.row, column=each.place.column, code=each.code) for each in error.all)
            one.preview = Preview(register=one.register, how="", faults=faults)
            return "FAULTY"
        one.total = len(taken.rows)
        standing = standing_of(here, who, register)
        one.preview = preview(register, taken, standing, removes=one.removes, today=today(), progress=progress)
        return "FAULTY" if one.preview.faults else "READY"

    # -- proposed -------------------------------------------------------------------------------------------------

    def propose(self, here: Parts, who: Who, name: str) -> Import:
        """Make proposals of what was looked at, in the background. Raises Problem where there is nothing to propose."""
        one = self.get(who, name)
        with self._lock:
            if one.state != "READY" or one.preview is None:
                raise Problem("import_not_ready", 409, members={"state": one.state})
            one.state, one.count, one.total = "PROPOSING", 0, len(one.preview.moves)
        self._pool.submit(self._attempt, one, lambda: self._propose(here, who, one))
        return one

    def _propose(self, here: Parts, who: Who, one: Import) -> str:
        assert one.preview is not None, "it was READY"
        table = REGISTERS[one.register].table
        try:
            for kind in KINDS:
                moves = [move for move in one.preview.moves if move.kind == kind and move.put is not None]
                for nth, chunk in enumerate(_chunks(moves)):
                    one.proposals.append(_opened(here, who, table, chunk, f"{one.id}-{kind[0]}{nth}").id)
                    one.count += len(chunk)
            one.renamed = self._rename(here, who, one)
        finally:
            one.preview = Preview(register=one.register, how=one.preview.how)  # with it the card numbers
            self._keep(one)
        return "PROPOSED"

    def _rename(self, here: Parts, who: Who, one: Import) -> int:
        """Names of people who are there change at once: they are no register's."""
        assert one.preview is not None, "it was READY"
        moves = [move for move in one.preview.moves if move.kind == "change" and move.name is not None]
        before = {move.id: move.name_was for move in moves if move.name_was is not None}
        for move in moves:
            assert move.name is not None, "only such were taken"
            rename(here, who, move.name)
        if before:
            self._names[one.id] = before
        return len(moves)

    def _keep(self, one: Import) -> None:
        if not one.proposals and not one.renamed:
            return
        with Session(self._engine) as session:
            session.add(
                TransferRow(
                    id=one.id,
                    of_register=one.register,
                    officer=one.officer,
                    state="PROPOSED",
                    made_ms=one.made_ms,
                    proposals="\n".join(one.proposals),
                    before="",
                )
            )
            session.commit()

    # -- undone ---------------------------------------------------------------------------------------------------

    def last(self, who: Who, limit: int = 10) -> list[TransferRow]:
        """What this officer brought in, the newest first."""
        query = select(TransferRow).where(TransferRow.officer == who.officer)
        with Session(self._engine, expire_on_commit=False) as session:
            return list(session.exec(query.order_by(col(TransferRow.made_ms).desc()).limit(limit)))

    def undo(self, here: Parts, who: Who, name: str) -> Undone:
        """Withdraw what waits, and propose the rows as they were before what is in force. Raises Problem."""
        with self._lock, Session(self._engine) as session:
            row = session.get(TransferRow, name)
            if row is None or row.officer != who.officer:
                raise Problem("not_found", 404)
            if row.state != "PROPOSED":
                raise Problem("proposal_settled", 409)
            withdrawn, backs, left = self._backs(here, who, [one for one in row.proposals.split("\n") if one])
            names = [rename(here, who, name) for name in self._names.pop(row.id, {}).values()]
            table = REGISTERS[row.of_register].table
            made = [
                _proposed_back(here, who, table, chunk, f"{row.id}-u{nth}").id for nth, chunk in enumerate(_lots(backs))
            ]
            row.state, row.before, row.undone_by = "UNDONE", "\n".join(made), who.officer
            session.commit()
        return Undone(proposals=tuple(made), withdrawn=withdrawn, left=tuple(left), names=len(names))

    def _backs(self, here: Parts, who: Who, proposals: list[str]) -> tuple[int, list[Doc], list[str]]:
        """How many were withdrawn; rows as they were; ids of rows that somebody has changed since."""
        withdrawn = 0
        backs: list[Doc] = []
        left: list[str] = []
        for name in proposals:
            try:
                one = here.proposals.get(who, name)
            except Problem:
                continue  # too old to be known here
            if one.is_open:
                here.proposals.withdraw(who, name)
                withdrawn += 1
            elif one.state == IN_FORCE:
                for back, is_changed in _reversed(here, one):
                    if is_changed:
                        left.append(back["id"])
                    else:
                        backs.append(back)
        return withdrawn, backs, left


def standing_of(here: Parts, who: Who, register: Register) -> Standing:
    """What a file is held against: rows that are there, in the zones that this officer answers for."""
    day = today()
    everything = here.view.rows(register.table)
    rows = {doc["id"]: doc for doc in everything if is_there(register.table, doc, day)}
    if register.code == "rosters":
        rows = {name: doc for name, doc in rows.items() if who.may_see_zone(doc["zone"])}
    people = {doc["id"] for doc in here.view.rows("cardholder") if is_there("cardholder", doc, day)}
    zones = {doc["id"] for doc in here.view.rows("zone") if who.may_see_zone(doc["id"])}
    return Standing(
        rows=rows,
        gone=frozenset(doc["id"] for doc in everything if doc["id"] not in rows),
        names=here.view.names.all(),
        known={
            "cardholder": frozenset(people),
            "zone": frozenset(zones),
            "schedule": frozenset(doc["id"] for doc in here.view.rows("schedule")),
        },
    )


def _chunks(moves: list[Move]) -> Iterator[list[Move]]:
    for at in range(0, len(moves), CHUNK):
        yield moves[at : at + CHUNK]


def _lots(docs: list[Doc]) -> Iterator[list[Doc]]:
    for at in range(0, len(docs), CHUNK):
        yield docs[at : at + CHUNK]


def _opened(here: Parts, who: Who, table: str, moves: list[Move], key: str) -> Proposal:
    def puts(now: Snapshot) -> Puts:
        for move in moves:
            if now.rows.get((table, move.id)) != move.was:
                raise Problem("stale_base", 409)
        return [(table, dict(move.put)) for move in moves if move.put is not None]

    return open_proposal(
        here, who, make=puts, places=[(table, move.id) for move in moves], reason="import", key=key,
        names=[move.name for move in moves if move.name is not None and move.was is None],
    )  # fmt: skip


def _proposed_back(here: Parts, who: Who, table: str, docs: list[Doc], key: str) -> Proposal:
    return open_proposal(here, who, puts=[(table, doc) for doc in docs], reason="import", key=key)


def _reversed(here: Parts, one: Proposal) -> Iterator[tuple[Doc, bool]]:
    """Each row of what is in force as it was before; True behind it: it was changed since, and stays."""
    now = here.view.snapshot(*[(table, doc["id"]) for table, doc in one.puts])
    day = today().isoformat()
    for (table, doc), was in zip(one.puts, one.was, strict=True):
        if now.rows.get((table, doc["id"])) != doc:
            yield doc, True
        elif was is not None:
            yield was, False
        else:
            yield {**doc, **({"state": "RETURNED"} if table == "credential" else {"ended_on": day})}, False
