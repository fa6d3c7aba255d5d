"""Strikes off after any death of the controller: a process of its own that outlives it by one breath.

Serial relay boards keep their state when nobody speaks to them. This program is started by the controller, is told
which bytes switch each board off, and waits for its standard input to end: which happens when the controller stops,
crashes or is killed. Then it writes the bytes and ends. The systemd unit does the same again (`ExecStopPost=`).

It is run as a file of its own (`python -I guard.py`), imports only what it needs, and ignores every signal that a
terminal or a service manager sends to the group: only the end of its input ends it.

Input: one line per port, `<path> <frames>[@<baud>]`: frames in hex, commas between them, 9600 baud where none is said.
Several frames are sent with silences between them, in which boards on a bus answer and know a frame from the next. The
latest line for a path counts.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from collections.abc import Sequence

TRIES = 20
"""The dead controller's exclusive hold on the port may take a moment to go."""

BAUD = 9_600
SILENCE_S = 0.06
"""Around each of several frames: what was on the line when the controller died has ended, and a board has answered."""


def switch_off(path: str, frames: Sequence[bytes], baud: int = BAUD) -> bool:
    """Write `frames` to the serial port at `path`, raw. True when they were written."""
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
            attributes[4] = attributes[5] = getattr(termios, f"B{baud}")
            termios.tcsetattr(port, termios.TCSANOW, attributes)
            for frame in frames:
                if len(frames) > 1:
                    time.sleep(SILENCE_S)
                os.write(port, frame)
                termios.tcdrain(port)
            return True
        except (OSError, termios.error):
            time.sleep(0.05)
        except AttributeError:  # a speed that no terminal has
            return False
        finally:
            os.close(port)
    return False


def main() -> int:
    """Wait for the end of the input, then switch every board off. Returns how many could not be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    ports: dict[str, tuple[list[bytes], int]] = {}
    for line in sys.stdin:
        path, _, orders = line.rstrip("\n").rpartition(" ")
        frames, _, baud = orders.partition("@")
        ports[path] = ([bytes.fromhex(frame) for frame in frames.split(",")], int(baud or BAUD))
    return sum(not switch_off(path, frames, baud) for path, (frames, baud) in ports.items())


if __name__ == "__main__":
    sys.exit(main())
