"""`python -m simulators.run building.toml`: one simulated building until told to stop.

Prints `ready http://127.0.0.1:PORT/` when every device is on its wire; leaves no link behind.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.building import SimulatedBuilding
from simulators.hands import HandsServer
from simulators.mqtt_session import BrokerUnreachable
from simulators.plan import BuildingFileError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 1
BAD_FILE = 2


def run(
    building: Path,
    run_dir: Path,
    broker_host: str,
    broker_port: int,
    hands_port: int,
    ready: Callable[[str], None] | None,
    stop_event: threading.Event,
) -> None:
    """Run the building of a file until `stop_event`. `ready(url)` is called once, when all is connected.

    `hands_port`: 0 = any free one. Raises BuildingFileError, BrokerUnreachable, OSError (a place is taken).
    """
    with SimulatedBuilding(building, run_dir=run_dir, broker=(broker_host, broker_port)) as simulated:
        server = HandsServer(simulated, hands_port)
        server.start()
        try:
            if ready is not None:
                ready(server.url)
            stop_event.wait()
        finally:
            server.stop()


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 0 stopped, 1 could not run, 2 unusable building file."""
    parser = argparse.ArgumentParser(prog="python -m simulators.run", description=__doc__)
    parser.add_argument("building", type=Path, help="building.toml")
    parser.add_argument("--run-dir", type=Path, required=True, help="where the links to the serial lines stand")
    parser.add_argument("--broker", default="127.0.0.1:1883", help="HOST:PORT of the MQTT broker")
    parser.add_argument("--hands-port", type=int, default=8081, help="port of the hands' page on loopback; 0 = any")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.broker.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"--broker: {chosen.broker!r}; write HOST:PORT")
    stop_event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_event.set())
    try:
        run(chosen.building, chosen.run_dir, host, int(port), chosen.hands_port, _say_ready, stop_event)
    except BuildingFileError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_FILE
    except (BrokerUnreachable, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return 0


def _say_ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
