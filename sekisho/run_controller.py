"""`sekisho controller`: from a site file to a served loop, with messages that say what to do when it cannot be."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path

from sekisho.cli import CANNOT_RUN, NO, OK


def run(path: Path, *, believe_clock: bool = False, accept_set_aside: bool = False) -> int:
    """Serve the site described by `path` until SIGTERM or SIGINT. Returns the exit status."""
    gc.disable()  # a third off the imports; collection comes back, over what is left, once the doors are armed
    from controller.boot import start
    from controller.config import SiteFileError, load_site
    from controller.keystore.errors import KeyStoreError
    from controller.ledger.errors import LedgerError

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        runtime = start(load_site(path), believe_clock=believe_clock, accept_set_aside=accept_set_aside)
    except SiteFileError as error:
        print(f"sekisho controller: {error}", file=sys.stderr)
        return NO
    except (LedgerError, KeyStoreError, OSError, ValueError) as error:
        print(f"sekisho controller: {error}", file=sys.stderr)
        return CANNOT_RUN

    def armed() -> None:
        gc.collect()
        gc.freeze()
        gc.enable()
        print("armed", flush=True)

    runtime.run(armed)
    return OK
