"""One site a test, and the compiled disk fault."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.parts import ROOT, Faults
from tests.system.site import Site


@pytest.fixture(scope="session")
def fault_library(tmp_path_factory) -> Path:
    """tests/faults/disk.c, compiled."""
    library = tmp_path_factory.mktemp("faults") / "disk.so"
    source = ROOT / "tests" / "faults" / "disk.c"
    subprocess.run(["gcc", "-Wall", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def make_site(tmp_path) -> Iterator[Callable[..., Site]]:
    """Sites made by hand; the building and the broker run, the controller does not yet."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(Site(tmp_path, **how))


@pytest.fixture
def site(make_site) -> Site:
    """The demo's site with its people, doors armed."""
    return make_site().starts().admits_people()


@pytest.fixture(scope="module")
def same_site(tmp_path_factory) -> Iterator[Site]:
    """One such site for all tests of a module that leave it as they found it."""
    with Site(tmp_path_factory.mktemp("same")) as site:
        yield site.starts().admits_people()


@pytest.fixture
def ill_site(make_site, fault_library, tmp_path) -> Site:
    """The same, with a disk and a clock that can be made to fail: `site.faults`."""
    return make_site(faults=Faults(fault_library, tmp_path)).starts().admits_people()
