"""Settings of the program that carries records outside, from TOML (docs/streams.md §4). Complaints name the line.

Refuses unknown keys, names used twice, more sinks than the controller has places for, and secrets written into it: a
key that ends in `_file` names the file that holds one. Paths are relative to the settings file.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from controller.streams.event_names import EVENTS
from controller.streams.jsonl import JsonlSection
from controller.streams.mqtt import MqttSection
from controller.streams.section import SINK_PATTERN, SinkRefused, SinkSection
from controller.streams.syslog import SyslogSection
from controller.streams.webhook import WebhookSection
from controller.streams.witness_line import WitnessSection
from controller.toml_lines import line_of

SINKS_MAX: Final = 8
"""Each has a session of its own; the controller has 16 for everybody."""

WITNESSES_MAX: Final = 8
"""They share one session."""

AnySection = JsonlSection | WebhookSection | MqttSection | SyslogSection
SECTIONS: Final[dict[str, type[SinkSection]]] = {
    "jsonl": JsonlSection,
    "webhook": WebhookSection,
    "mqtt": MqttSection,
    "syslog": SyslogSection,
}


class SettingsError(ValueError):
    """Settings that cannot be used. The message names file, line and key, and says what is expected."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`socket`: the controller's. `state_dir`: where cursors are kept. `sink`: where records go. `witness`: who is
    asked to sign checkpoints (docs/witness.md).
    """

    socket: Path
    state_dir: Path
    sink: Annotated[tuple[AnySection, ...], msgspec.Meta(max_length=SINKS_MAX)] = ()
    witness: Annotated[tuple[WitnessSection, ...], msgspec.Meta(max_length=WITNESSES_MAX)] = ()


def load_settings(path: Path) -> Settings:
    """The settings in `path`. Raises SettingsError."""
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error
    try:
        settings = msgspec.convert(document, Settings, dec_hook=lambda kind, value: _path(path.parent, kind, value))
    except msgspec.ValidationError as error:
        raise _misread(path, text, document, error) from None
    _check_together(settings, path, text)
    return settings


def _check_together(settings: Settings, path: Path, text: str) -> None:
    """What sections must not say beside each other."""
    if not settings.sink and not settings.witness:
        raise _refusal(path, text, "", "names neither a [[sink]] nor a [[witness]]: there is nothing to carry")
    named = [(f".sink[{at}]", one.name) for at, one in enumerate(settings.sink)]
    named += [(f".witness[{at}]", one.name) for at, one in enumerate(settings.witness)]
    for at, (where, name) in enumerate(named):
        if name in [other for _, other in named[:at]]:
            raise _refusal(path, text, f"{where}.name", f"{name} is the name of another one already")
    for at, sink in enumerate(settings.sink):
        for number, type_ in enumerate(sink.types):
            if type_ not in EVENTS:
                why = f"there is no record type {type_}; docs/ledger.md §6 has them all"
                raise _refusal(path, text, f".sink[{at}].types[{number}]", why)
    for at, witness in enumerate(settings.witness):
        try:
            witness.checked()
        except SinkRefused as refused:
            raise _refusal(path, text, f".witness[{at}].{refused.key}", str(refused)) from None


def _path(base: Path, kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return base / value
    raise ValueError("must be a path, in quotes")


def _misread(path: Path, text: str, document: Any, error: msgspec.ValidationError) -> SettingsError:
    """msgspec's complaint in our words: what is expected instead."""
    why, _, where = str(error).partition(" - at `$")
    where = where.removesuffix("`")
    if isinstance(error.__cause__, SinkRefused):
        return _refusal(path, text, f"{where}.{error.__cause__.key}", str(error.__cause__))
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", why):
        expected = ", ".join(_keys_at(document, where))
        return _refusal(path, text, f"{where}.{unknown[1]}", f"there is no such key here; there are {expected}")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", why):
        return _refusal(path, text, where, f"`{missing[1]}` is missing")
    if why.startswith("Invalid value '") and where.endswith(".kind"):
        return _refusal(path, text, where, f"is one of {', '.join(SECTIONS)}")
    if SINK_PATTERN in why:
        return _refusal(path, text, where, "must be lower-case letters, digits and dashes, 1 to 32 of them")
    return _refusal(path, text, where, why)


def _keys_at(document: Any, where: str) -> tuple[str, ...]:
    """The keys that the section at a key path has."""
    if where.startswith(".witness["):
        return WitnessSection.__struct_fields__
    found = re.match(r"\.sink\[(\d+)\]", where)
    if found is None:
        return Settings.__struct_fields__
    kind = document["sink"][int(found[1])].get("kind")
    return ("kind", *SECTIONS[kind].__struct_fields__) if kind in SECTIONS else ("kind",)


def _refusal(path: Path, text: str, key_path: str, why: str) -> SettingsError:
    return SettingsError(f"{path}:{line_of(text, key_path)}: {key_path.strip('.') or 'the file'}: {why}")
