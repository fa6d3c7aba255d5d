"""What every test shares: the marks `req` and `needs`, and how Hypothesis runs.

`needs("mosquitto")` skips a test where the program is missing, so that a part of the suite runs anywhere; under
`make test` (SEKISHO_TEST_ALL=1), which has installed them all, a missing program is an error and never a silent skip.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import tomllib
from pathlib import Path

import hypothesis
import pytest

EXAMPLES = 500 if "SEKISHO_SOAK" in os.environ else 50
hypothesis.settings.register_profile("house", deadline=None, print_blob=True, max_examples=EXAMPLES)
"""No deadline: two busy cores are no failure. Fifty examples a run, others at every run; five hundred in a soak."""

hypothesis.settings.load_profile("house")

REQUIREMENTS = frozenset(tomllib.loads((Path(__file__).parent / "requirements.toml").read_text("utf-8"))["requirement"])


def has_program(name: str) -> bool:
    """Also where Debian puts daemons, which is not in everybody's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") is not None


def has_libnfc() -> bool:
    """pynfc opens both by their unversioned names, which come with the -dev packages."""
    for name in ("libnfc.so", "libfreefare.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            return False
    return True


def has_rsyslog() -> bool:
    """The daemon, and what makes it speak TLS."""
    return has_program("rsyslogd") and any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"))


PEERS = ("osdp", "nfc", "pymodbus", "smartcard", "standardwebhooks")


def has_peers() -> bool:
    """The environment holds requirements/peers.lock."""
    return all(importlib.util.find_spec(name) is not None for name in PEERS)


NEEDS = {
    "peers": has_peers,
    "pcscd": lambda: has_program("pcscd"),
    "softhsm": lambda: has_program("softhsm2-util"),
    "mosquitto": lambda: has_program("mosquitto"),
    "rsyslog": has_rsyslog,
    "libnfc": has_libnfc,
    "chromium": lambda: has_program("chromium"),
    "gcc": lambda: has_program("gcc"),
    "go": lambda: has_program("go") and Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").is_dir(),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse unknown ids and programs; skip, or fail, where a program is missing."""
    for item in items:
        for mark in item.iter_markers("req"):
            if unknown := set(mark.args) - REQUIREMENTS:
                message = f"{item.nodeid}: no such requirement in tests/requirements.toml: {sorted(unknown)}"
                raise pytest.UsageError(message)
        for mark in item.iter_markers("needs"):
            if unknown := set(mark.args) - set(NEEDS):
                message = f"{item.nodeid}: needs() knows {sorted(NEEDS)}, not {sorted(unknown)}"
                raise pytest.UsageError(message)
            if "SEKISHO_TEST_ALL" not in os.environ:
                missing = [name for name in mark.args if not NEEDS[name]()]
                item.add_marker(pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} (make test)"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Under `make test` a missing program fails its tests by name."""
    if "SEKISHO_TEST_ALL" in os.environ:
        for mark in item.iter_markers("needs"):
            missing = [name for name in mark.args if not NEEDS[name]()]
            if missing:
                pytest.fail(f"needs {', '.join(missing)}: tests/needs should have installed it", pytrace=False)
