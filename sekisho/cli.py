"""The console command. Each subcommand imports what it needs and no more: `controller` must arm doors quickly.

Exit status: 0 done, 1 the answer is no (a ledger that does not verify, a site file with a fault), 2 misuse,
3 could not run. What was asked for goes to standard output, talk to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho import (
    card_arguments,
    devices_arguments,
    keys_arguments,
    ledger_arguments,
    lint_arguments,
    officer_arguments,
    review_arguments,
    streams_arguments,
    witness_arguments,
)

if TYPE_CHECKING:
    from controller.config import Site

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["verify"]:
        from sekisho import verify

        return verify.main(arguments[1:])
    parsed = _parser().parse_args(streams_arguments.spelled(arguments))
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sekisho",
        description="関所 - lets the right people into the right rooms, and can prove it. 入退室管理",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("controller", help="run the controller: doors, decisions, ledger (制御部を動かす)")
    _site_argument(command)
    command.add_argument(
        "--believe-clock",
        action="store_true",
        help="the wall clock is right although the ledger holds later times; recorded (時計を正しいと認める)",
    )
    command.add_argument(
        "--accept-set-aside",
        action="store_true",
        help="a damaged ledger and no whole site.db: take the rights that are left; recorded (残りの登録を認める)",
    )
    command.set_defaults(run=_controller)

    command = commands.add_parser("api", help="run the officers' pages and the API (管理画面を動かす)")
    command.add_argument("settings", type=Path, help="settings file (TOML)")
    command.set_defaults(run=_api)

    command = commands.add_parser("check", help="hold a site file against its rules, without running (設定の点検)")
    _site_argument(command)
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.set_defaults(run=_check)

    command = commands.add_parser("init", help="make a new site's folder, ledger and keys (初期設定)")
    _site_argument(command)
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    command.set_defaults(run=_init)

    command = commands.add_parser("safe", help="switch all serial strikes off, for ExecStopPost (全錠の解錠出力を切る)")
    _site_argument(command)
    command.set_defaults(run=_safe)

    card_arguments.add_parsers(commands)
    devices_arguments.add_parsers(commands)
    keys_arguments.add_parsers(commands)
    ledger_arguments.add_parsers(commands)
    lint_arguments.add_parsers(commands)
    officer_arguments.add_parsers(commands)
    review_arguments.add_parsers(commands)
    streams_arguments.add_parsers(commands)
    witness_arguments.add_parsers(commands)

    commands.add_parser(
        "verify", help="check a ledger file or an export; see `sekisho verify --help` (検証)", add_help=False
    )

    _add_building(commands)
    return parser


def _add_building(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What needs no real door: the simulated building, its hands, the demo."""
    command = commands.add_parser("simulate", help="run a simulated building on real wires (模擬建物)")
    command.add_argument("building", type=Path, help="building file (TOML)")
    command.add_argument("--run-dir", type=Path, required=True, help="where the serial lines appear")
    command.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="MQTT broker")
    command.add_argument("--hands-port", type=int, default=8081, help="port of the hands' page and API")
    command.set_defaults(run=_simulate)

    command = commands.add_parser("badge", help="hold a card to a simulated reader (カードをかざす)")
    command.add_argument("card", help="card number in hex, or a person's name in the building file")
    command.add_argument("door", help="door name in the building file, e.g. front")
    command.add_argument("--side", choices=("in", "out"), default="in")
    command.add_argument("--pin", metavar="DIGITS", help="type these if the reader asks for a PIN (暗証番号)")
    command.add_argument(
        "--held",
        choices=("own", "copy", "wrong-keys", "no-application", "recorded", "replay", "leaving"),
        default="own",
        help="the card itself, or what was made of it; `replay` plays back what `recorded` wrote down (何をかざすか)",
    )
    command.add_argument("--no-walk", action="store_true", help="do not walk through when the strike releases")
    command.add_argument("--hands", default="http://127.0.0.1:8081", help="the hands' API")
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.set_defaults(run=_badge)

    command = commands.add_parser("demo", help="a simulated site in one command; Ctrl-C ends it (実演)")
    command.add_argument("--port", type=int, default=8000, help="port of the officers' page (0: any free one)")
    command.add_argument("--hands-port", type=int, default=8081, help="port of the hands (0: any free one)")
    command.set_defaults(run=_demo)


def _site_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", type=Path, help="site file (TOML)")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"sekisho {version('sekisho')}"
    except PackageNotFoundError:
        return "sekisho (not installed)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _controller(arguments: argparse.Namespace) -> int:
    from sekisho.run_controller import run

    said = {"believe_clock": arguments.believe_clock, "accept_set_aside": arguments.accept_set_aside}
    return run(arguments.site, **said)


def _api(arguments: argparse.Namespace) -> int:
    from api.run import main as run
    from api.settings import SettingsError, load_settings
    from api.store import StoreError

    try:
        run(load_settings(arguments.settings))
    except (SettingsError, StoreError) as error:
        _say(f"sekisho api: {error}")
        return CANNOT_RUN
    return OK


def _check(arguments: argparse.Namespace) -> int:
    from sekisho.check import run

    return run(arguments)


def _init(arguments: argparse.Namespace) -> int:
    from sekisho.init import run

    return run(arguments)


def _safe(arguments: argparse.Namespace) -> int:
    from controller.config import SiteFileError, load_site
    from controller.guard import switch_off
    from controller.wires import off_frames

    try:
        site = load_site(arguments.site)
    except SiteFileError as error:
        _say(str(error))
        return CANNOT_RUN
    failed = 0
    for path, (frames, baud) in off_frames(site).items():
        is_off = switch_off(path, frames, baud)
        names = ", ".join(device.id for device in site.devices.values() if device.port == path)
        _say(f"{names}: {'off' if is_off else f'could not be reached at {path}'}")
        failed += not is_off
    failed += _pins_not_at_rest(site)
    return CANNOT_RUN if failed else OK


def _pins_not_at_rest(site: Site) -> int:
    """Bring the controller's own pins to rest, for a controller that died without a word; how many devices failed."""
    from controller.config import DeviceKind
    from readers.errors import ReaderError
    from readers.transports.gpio import GpioPins

    failed = 0
    for device in site.devices.values():
        if device.kind is not DeviceKind.GPIO or not device.relay_pins:
            continue
        pins = GpioPins(
            device.id, outputs=device.relay_pins, inputs={}, on_event=lambda _event: None, on_wake=lambda: None
        )
        try:
            pins.start()
            pins.close()
            _say(f"{device.id}: off")
        except ReaderError as error:
            _say(f"{device.id}: {error}")
            failed += 1
    return failed


def _simulate(arguments: argparse.Namespace) -> int:
    from simulators.run import main as run

    return run(
        [
            str(arguments.building),
            "--run-dir",
            str(arguments.run_dir),
            "--broker",
            arguments.broker,
            "--hands-port",
            str(arguments.hands_port),
        ]
    )


def _badge(arguments: argparse.Namespace) -> int:
    from sekisho.badge import badge

    return badge(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from sekisho.demo import run

    return run(page_port=arguments.port, hands_port=arguments.hands_port)


if __name__ == "__main__":
    sys.exit(main())
