"""A ledger, couriers of its checkpoints, and witnesses that listen: all real but the clock and the Unix socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from controller.cosigning import WitnessWatch, attend, vouched_in
from controller.link.client import LinkDown
from controller.link.messages import AskCosigned, Cosign, Cosigned, Done, Record, Refused, StreamReport, Welcome
from controller.link.notes import COSIGNATURE, Vkey
from controller.link.server import _as_message
from controller.streams.follower import Follower
from controller.streams.witness_line import WitnessSection
from controller.streams.witnessing import WitnessCourier
from controller.streams.world import World
from sekisho.witness_http import Reply, WitnessServer
from tests.sekisho.witness_rig import NOON_MS, Desk, History


class Listening:
    """A witness on a port. `answer` may be made to lie."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.asked: list[bytes] = []
        self.lies: list[Reply] = []
        routes = {"/add-checkpoint": self._add, "/rotate-key": self._rotate}
        self.server = WitnessServer(("127.0.0.1", 0), routes)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def vkey(self) -> Vkey:
        return self.desk.folder.vkey

    def _add(self, body: bytes) -> Reply:
        self.asked.append(body)
        return self.lies.pop(0) if self.lies else self.desk.witness.add_checkpoint(body)

    def _rotate(self, body: bytes) -> Reply:
        return self.desk.witness.rotate_key(body)

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        self.desk.close()


class Site:
    """A site whose ledger one witness looks after. The controller's side of the link is called directly."""

    def __init__(self, folder: Path, history: History, witness: Listening, *, vkey: Vkey | None = None) -> None:
        self.history = history
        self.witness = witness
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.now_ms = NOON_MS
        self.reports: list[StreamReport] = []
        self.is_away = False
        self.vkeys = (vkey or witness.vkey,)
        self._files = ExitStack()
        self.starts()

    def starts(self) -> Site:
        """The program that carries records starts."""
        self._files.close()
        world = World(now_ms=lambda: self.now_ms, wait=lambda _s: False, chance=lambda: 0.5, tell=self.tell)
        self.follower = Follower(self, self.folder, world)
        self._files.callback(self.follower.close)
        section = WitnessSection(name="north", url=self.witness.url, vkey=self.witness.vkey.text)
        self.courier = WitnessCourier(
            section, self.follower, world, self.folder / "north.outage", ledger_size=self.size, cosign=self.cosign
        )
        return self

    def ends(self) -> None:
        """The program that carries records ends."""
        self._files.close()

    def close(self) -> None:
        """The connection to the controller ends."""

    def carries(self) -> list[str]:
        """One round: what the ledger has is followed, and the witness asked. What was reported: `CODE:why`."""
        before = len(self.reports)
        if self.follower.session() == 0:
            self.follower.session()
        self.courier.step()
        return [f"{one.code}:{one.why or one.by_ms}" for one in self.reports[before:]]

    def vouched(self) -> int:
        """How much of the ledger the witness vouches for, by what the controller keeps."""
        return vouched_in(self.history.ledger, self.vkeys)[0].size

    def watch(self) -> WitnessWatch:
        return WitnessWatch(self.vkeys, vouched_in(self.history.ledger, self.vkeys))

    def cosigned(self, from_size: int = 0) -> tuple[str, ...]:
        answer = attend(1, AskCosigned(id="ask", from_size=from_size), self.history.ledger, self.vkeys).answer
        assert isinstance(answer, Cosigned)
        return answer.notes

    # -- the controller ------------------------------------------------------------------------------------------------

    def tell(self, report: StreamReport) -> bool:
        self.reports.append(report)
        return True

    def cosign(self, note: str) -> Done | Refused:
        answer = attend(1, Cosign(id="cosign", note=note), self.history.ledger, self.vkeys).answer
        assert isinstance(answer, Done | Refused)
        return answer

    def size(self) -> int:
        return self.connect().size

    def connect(self) -> Welcome:
        if self.is_away:
            raise LinkDown("no controller")
        ledger = self.history.ledger
        return Welcome(node="gate-1", boot="b1", size=ledger.size, revision="r", vkey=ledger.notary.vkey)

    def stream(self, from_seq: int) -> Iterator[Record]:
        """What there is, and then the connection ends."""
        for record in self.history.ledger.scan(from_seq):
            yield _as_message(record)
        raise LinkDown("that is all for now")

    def has_more(self) -> bool:
        return False


def key_named(name: str, public: bytes) -> Vkey:
    return Vkey(name=name, algorithm=COSIGNATURE, public=public)
