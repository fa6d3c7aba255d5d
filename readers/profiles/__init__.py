"""MQTT devices that can be bought, declared as data: a file for each kind beside this one.

docs/wire/mqtt-profiles.md.

Owns which kinds there are. Refuses a file that says too little to tell that a device is gone, or to end a release.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Final

from readers.protocols import mqtt_profiles
from readers.protocols.mqtt_profiles import OURS, Profile

_SUFFIX: Final = ".toml"


@cache
def names() -> tuple[str, ...]:
    """Every profile that a device may have, our own first."""
    found = (file.name for file in resources.files(__package__).iterdir() if file.name.endswith(_SUFFIX))
    return (OURS, *sorted(name.removesuffix(_SUFFIX) for name in found))


@cache
def load(name: str) -> Profile:
    """A profile by its name. ValueError naming the names that there are, or what is wrong with its file."""
    if name not in names() or name == OURS:
        raise ValueError(f"{name!r} is not one of {', '.join(names()[1:])}")
    text = resources.files(__package__).joinpath(name + _SUFFIX).read_text("utf-8")
    try:
        profile = mqtt_profiles.parse(tomllib.loads(text))
    except ValueError as error:
        raise ValueError(f"readers/profiles/{name}{_SUFFIX}: {error}") from error
    if profile.name != name:
        raise ValueError(f"readers/profiles/{name}{_SUFFIX}: its `name` is {profile.name!r}")
    return profile
