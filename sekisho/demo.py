"""`sekisho demo`: a whole site in one command, on real wires: an embedded broker, a simulated building, the controller
and the officers' page, each a process of its own. Ctrl-C ends all of it and leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import IO, Final

from controller.config import load_site
from controller.key_room import open_key_store
from sekisho.cli import CANNOT_RUN, OK
from sekisho.demo_officers import DIGEST, SimulatedOfficers, Unwilling
from sekisho.demo_people import PEOPLE, VISITOR, Carried, carried_in, load
from simulators.plan import OsdpReaderPlan, Plan
from simulators.plan import load as load_building
from zones.moment import JST

START_S_MAX: Final = 60
STOP_S_MAX: Final = 8
STRANGER: Final = "来訪 花子"
CUSTODIANS: Final = ("officer-01", "officer-02")
END_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
"""Even when the demo is killed outright, its children end (setpriv is part of util-linux)."""


class DemoFailed(Exception):
    """The demo cannot run; why, and what to do."""


class _Process:
    """One child: started, watched for its first line, ended. Its talk goes to a file in the demo's folder."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*END_WITH_PARENT, sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | environment,
                start_new_session=True,
            )

    def first_line(self) -> str:
        """What it says when it is up. Raises DemoFailed with the end of its log where it never is."""
        assert self.process.stdout is not None
        timer = threading.Timer(START_S_MAX, self.process.kill)
        timer.start()
        line = self.process.stdout.readline().decode().strip()
        timer.cancel()
        if not line:
            raise DemoFailed(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
        threading.Thread(target=_drain, args=(self.process.stdout,), daemon=True).start()
        return line

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _drain(pipe: IO[bytes]) -> None:
    while pipe.read(4096):
        pass


class Demo:
    """The running demo. `start` raises DemoFailed; `end` may be called at any point of it."""

    def __init__(self, page_port: int, hands_port: int) -> None:
        self._page_port = _free(page_port)
        self._hands_port = _free(hands_port)
        self.folder = Path(tempfile.mkdtemp(prefix="sekisho-demo-"))
        self.archive = self.folder / "archive"
        self.processes: list[_Process] = []
        self.page = f"http://localhost:{self._page_port}"
        self.officers = SimulatedOfficers(self.page, self.folder / "controller.sock", _talk)
        self._ticket = secrets.token_urlsafe(24)
        self.invitation = ""
        self.hands = ""
        self.carried: dict[str, Carried] = {}

    def start(self) -> None:
        _talk("埋め込みブローカーと模擬建物を起動します / starting the broker and the simulated building")
        broker_port = _free(0)
        self._run("broker", "sekisho.demo_broker", str(broker_port)).first_line()
        run_dir = self.folder / "wires"
        with resources.as_file(resources.files("simulators") / "demo" / "building.toml") as building:
            arguments = ["--run-dir", str(run_dir), "--broker", f"127.0.0.1:{broker_port}"]
            simulator = self._run(
                "building", "sekisho", "simulate", str(building), *arguments, "--hands-port", str(self._hands_port)
            )
            plan = load_building(building)
            self.hands = simulator.first_line().removeprefix("ready ").rstrip("/")
        _talk("制御部と管理画面を起動します / starting the controller and the officers' page")
        site = self.folder / "site.toml"
        text = resources.files("sekisho").joinpath("demo_site.toml").read_text("utf-8")
        site.write_text(text.replace("@BROKER_PORT@", str(broker_port)).replace("@RUN_DIR@", str(run_dir)), "utf-8")
        today = datetime.now(JST).date()
        _fill_key_store(site, plan, today)
        self._run("controller", "sekisho", "controller", str(site)).first_line()
        streams = self._start_streams()
        self._start_api()
        streams.first_line()
        _talk("模擬の担当者二名が架空の人々を登録します / two simulated officers enter made-up people")
        self.carried = carried_in(plan)
        try:
            self.officers.start()
            load(self.officers.post, today, self.carried)
            self.invitation = self.officers.invite(today)
        except Unwilling as error:
            raise DemoFailed(str(error)) from error
        self.officers.watch()

    @property
    def link(self) -> str:
        """Signs a visitor in without a passkey (`sekisho.demo_api`)."""
        return f"{self.page}/demo#{self._ticket}"

    def _start_api(self) -> None:
        folder = self.folder / "api"
        folder.mkdir(mode=0o700)
        settings = self.folder / "api.toml"
        lines = {"socket": str(self.folder / "controller.sock"), "state_dir": str(folder), "port": self._page_port}
        settings.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()), "utf-8")
        digest = {DIGEST: hashlib.sha256(self._ticket.encode()).hexdigest()}
        process = self._run("api", "sekisho.demo_api", str(settings), **digest)
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._page_port}/api/v1/health", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                if process.process.poll() is not None or time.monotonic() > deadline:
                    raise DemoFailed(f"api did not start:\n{process.log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.1)

    def _start_streams(self) -> _Process:
        """Records leave for a folder, as on a site for a disk elsewhere; the process is not up yet."""
        self.archive.mkdir()
        settings = self.folder / "streams.toml"
        lines = [{"socket": str(self.folder / "controller.sock"), "state_dir": "streams"}]
        lines.append({"kind": "jsonl", "name": "archive", "folder": str(self.archive)})
        tables = ["".join(f"{key} = {json.dumps(value)}\n" for key, value in line.items()) for line in lines]
        settings.write_text("[[sink]]\n".join(tables), "utf-8")
        return self._run("streams", "sekisho", "streams", str(settings))

    def _run(self, name: str, *arguments: str, **environment: str) -> _Process:
        process = _Process(name, arguments, self.folder, environment)
        self.processes.append(process)
        return process

    def wait(self) -> str:
        """Wait for Ctrl-C (returns "") or for a process that ends by itself (returns its name)."""
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.wait(1.0):
            for process in self.processes:
                if process.process.poll() is not None:
                    return process.name
        return ""

    def end(self) -> None:
        self.officers.stop()
        for process in reversed(self.processes):
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def _fill_key_store(site: Path, plan: Plan, today: date) -> None:
    """What two people do on the bench of a real site (docs/keys.md), with the made-up keys of the building file."""
    store = open_key_store(load_site(site), os.urandom)
    assert store is not None, "the demo's site file asks for keys"
    try:
        for purpose, versions in plan.master_keys().items():
            for version, key in versions.items():
                store.import_card_key(purpose, version, key, today, CUSTODIANS)
        for device in plan.devices:
            if isinstance(device, OsdpReaderPlan) and device.key is not None:
                store.import_reader_key(device.id, bytes.fromhex(device.key), today, CUSTODIANS)
    finally:
        store.close()


def run(*, page_port: int, hands_port: int) -> int:
    """Run the demo until Ctrl-C. Returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    demo = Demo(page_port, hands_port)
    try:
        demo.start()
        _introduce(demo)
        if ended := demo.wait():
            log = next(p.log for p in demo.processes if p.name == ended).read_text(errors="replace")[-2000:]
            _talk(f"{ended} ended by itself:\n{log}")
            return CANNOT_RUN
        return OK
    except KeyboardInterrupt:
        return OK
    except DemoFailed as error:
        _talk(f"sekisho demo: {error}")
        return CANNOT_RUN
    finally:
        _talk("\n片付けています / cleaning up")
        demo.end()


def _introduce(demo: Demo) -> None:
    command = os.path.relpath(Path(sys.executable).with_name("sekisho"))
    hands = "" if demo.hands.endswith(":8081") else f" --hands {demo.hands}"
    sato, ito = (demo.carried[name].pin for name in ("佐藤 美咲", "伊藤 直子"))
    badge = f"{command} badge"
    print(
        f"\n開く / open:      {demo.link}"
        f"\n                  (パスキーなし: 閲覧と提案だけ / without a passkey: to read and propose)"
        f"\n担当者 / officer: {demo.invitation}"
        f"\n                  (自分のパスキーを登録 / enrol a passkey of your own: to sign)"
        f"\n                  模擬の担当者二名が、待っている変更に約10秒ずつで署名します"
        f"\n                  / two simulated officers sign what waits, ten seconds each"
        f"\n入る / enter:     {badge} 佐藤 front{hands}"
        f"\n                  {badge} 佐藤 lab --pin {sato}{hands}"
        f"\n二人で / two:     {badge} 佐藤 vault --pin {sato}{hands}"
        f"\n                  {badge} 伊藤 vault --pin {ito}{hands}"
        f"\n複製 / a copy:    {badge} 佐藤 lab --pin {sato} --held copy{hands}"
        f"\n扉 / doors:       front side lab vault server escape"
        f"\n建物 / building:  {demo.hands}/   (扉・回線・読取装置・火災を手で / doors, cables, readers, fire by hand)"
        f"\n問う / ask:       export SEKISHO_SOCKET={demo.folder}/controller.sock"
        f"\n                  {command} explain 受付番号"
        f"\n                  (or replay, who-can vault --all, what-if EDIT.json, lint, prove, devices show, … --help)"
        f"\n証明 / verify:    {command} ledger export log.jsonl --socket {demo.folder}/controller.sock"
        f"\n                  {command} ledger key --socket {demo.folder}/controller.sock > key.txt"
        f"\n                  {command} verify log.jsonl --key key.txt"
        f"\n外部 / outside:   {command} streams report {demo.archive}"
        f"\n終了 / end:       Ctrl-C\n"
    )
    print("  カード / card     種類 / kind  暗証番号 / PIN (脅迫時 / under duress)")
    for person in (*PEOPLE, VISITOR):
        print(f"  {_pocket(demo.carried[person.name])}{person.name}  {person.roman}: {person.what}")
    print(f"  {_pocket(demo.carried[STRANGER])}{STRANGER}  RAIHO Hanako: a card that nobody knows", flush=True)


def _pocket(carried: Carried) -> str:
    duress = "" if carried.duress_pin is None else f" ({carried.duress_pin})"
    return f"{carried.card:<18}{carried.kind:<13}{(carried.pin or '-') + duress:<17}"


def _free(port: int) -> int:
    """`port` if it is free on loopback, else any that is."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no free port on loopback")


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
