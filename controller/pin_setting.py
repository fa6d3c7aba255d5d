"""Setting PINs: the digits of a request become hashes before the deciding loop sees them again (B-13).

The slow hash takes longer than a press of REX may wait, so it is made on a thread of its own; then the request comes
back through the inbox as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from controller.desk import LinkRequest
from controller.link.messages import Prepare
from controller.link.rows import row_to_doc
from controller.pins import Digits, PinHasher, PinRefused, check_rules
from zones.ids import CardholderId

SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PinsHashed:
    """`request` with the digits of its PINs replaced by their hashes; or without its rows, `why` they were refused, and
    for which row.
    """

    request: LinkRequest
    row: str = ""
    why: str = ""


def sets_pins(message: object) -> bool:
    """Whether a message prepares a PIN in it."""
    return isinstance(message, Prepare) and any(table == "pin" for table, _ in message.puts)


class PinSetter:
    """Hashes the PINs of requests, one after the other.

    Args:
        hasher: makes the hashes.
        random: gives salts.
        deliver: called with each outcome, from the thread; must only enqueue.
    """

    def __init__(
        self, hasher: PinHasher, random: Callable[[int], bytes], deliver: Callable[[PinsHashed], object]
    ) -> None:
        self._hasher = hasher
        self._random = random
        self._deliver = deliver
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pin-setter")

    def submit(self, request: LinkRequest, known: Iterable[str]) -> None:
        """Hash the PINs of `request`, whose message sets some. `known`: what must not be in them. Returns at once."""
        forbidden = tuple(known)
        self._thread.submit(lambda: self._deliver(self.hashed(request, forbidden)))

    def hashed(self, request: LinkRequest, forbidden: Iterable[str]) -> PinsHashed:
        """The outcome for one request, worked out here and now."""
        message = request.message
        assert isinstance(message, Prepare), "only what prepares rows sets PINs"
        known = tuple(forbidden)
        puts: list[tuple[str, dict[str, Any]]] = []
        for table, row in message.puts:
            try:
                puts.append((table, self._row(row, known) if table == "pin" else row))
            except (PinRefused, TypeError, ValueError) as error:
                why = str(error) if isinstance(error, PinRefused) else "a PIN is set by its digits, `pin` and `duress`"
                return _refused(request, message, row, why)
            except MemoryError:
                return _refused(request, message, row, "there is not enough memory to keep it safely; try again")
        prepared = msgspec.structs.replace(message, puts=puts)
        return PinsHashed(request=replace(request, message=prepared, is_prepared=True))

    def stop(self) -> None:
        """End the thread; what waits is given up."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _row(self, row: dict[str, Any], forbidden: tuple[str, ...]) -> dict[str, Any]:
        if not {"id", "pin"} <= row.keys() <= {"id", "pin", "duress"}:
            raise ValueError("fields")
        if not all(isinstance(value, str) for value in row.values()):
            raise TypeError("text")
        pin = Digits(row["pin"])
        duress = Digits(row["duress"]) if "duress" in row else None
        for digits in (pin, duress):
            if digits is not None:
                check_rules(digits, forbidden=(*forbidden, row["id"]))
        _, doc = row_to_doc(self._hasher.new_row(CardholderId(row["id"]), pin, duress, self._random(SALT_BYTES)))
        return doc


def _refused(request: LinkRequest, message: Prepare, row: dict[str, Any], why: str) -> PinsHashed:
    """The digits go no further, not even into a message about them."""
    emptied = msgspec.structs.replace(message, puts=[])
    named = str(row.get("id", "?"))[:64]
    return PinsHashed(request=replace(request, message=emptied), row=named, why=why)
