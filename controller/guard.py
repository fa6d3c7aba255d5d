"""Strikes off after any death of the controller: a process of its own that outlives it by one breath.

Serial relay boards keep their state when nobody speaks to them. This program is started by the controller, is told
which bytes switch each board off, and waits for its standard input to end: which happens when the controller stops,
crashes or is killed. Then it writes the bytes and ends. The systemd unit does the same again (`ExecStopPost=`).

It is run as a file of its own (`python -I guard.py`), imports only what it needs, and ignores every signal that a
terminal or a service manager sends to the group: only the end of its input ends it.

Input: one line per board, `<path> <hex bytes>`; the latest line for a path counts.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
import time

TRIES = 20
"""The dead controller's exclusive hold on the port may take a moment to go."""


def switch_off(path: str, frames: bytes) -> bool:
    """Write `frames` to the serial port at `path`, 9600 baud raw. True when they were written."""
    for _ in range(TRIES):
        try:
            port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
            continue
        try:
            attributes = termios.tcgetattr(port)
            attributes[0] = attributes[1] = attributes[3] = 0
            attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
            attributes[4] = attributes[5] = termios.B9600
            termios.tcsetattr(port, termios.TCSANOW, attributes)
            os.write(port, frames)
            termios.tcdrain(port)
            return True
        except (OSError, termios.error):
            time.sleep(0.05)
        finally:
            os.close(port)
    return False


def main() -> int:
    """Wait for the end of the input, then switch every board off. Returns how many could not be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    boards: dict[str, bytes] = {}
    for line in sys.stdin:
        path, _, frames = line.rstrip("\n").rpartition(" ")
        boards[path] = bytes.fromhex(frames)
    return sum(not switch_off(path, frames) for path, frames in boards.items())


if __name__ == "__main__":
    sys.exit(main())
