"""libnfc and libfreefare through ctypes: somebody else's reader, for the cards that we simulate."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator

POINTER, INT, BYTES = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
BYTE, UINT32, SIZE = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_size_t
SHAPES = {
    "freefare_get_tags": (POINTER, [POINTER]),
    "freefare_free_tags": (None, [POINTER]),
    "mifare_desfire_connect": (INT, [POINTER]),
    "mifare_desfire_disconnect": (INT, [POINTER]),
    "mifare_desfire_authenticate": (INT, [POINTER, BYTE, POINTER]),
    "mifare_desfire_authenticate_iso": (INT, [POINTER, BYTE, POINTER]),
    "mifare_desfire_authenticate_aes": (INT, [POINTER, BYTE, POINTER]),
    "mifare_desfire_aid_new": (POINTER, [UINT32]),
    "mifare_desfire_select_application": (INT, [POINTER, POINTER]),
    "mifare_desfire_aes_key_new_with_version": (POINTER, [BYTES, BYTE]),
    "mifare_desfire_des_key_new": (POINTER, [BYTES]),
    "mifare_desfire_3k3des_key_new": (POINTER, [BYTES]),
    "mifare_desfire_change_key": (INT, [POINTER, BYTE, POINTER, POINTER]),
    "mifare_desfire_change_key_settings": (INT, [POINTER, BYTE]),
    "mifare_desfire_get_key_version": (INT, [POINTER, BYTE, POINTER]),
    "mifare_desfire_get_card_uid": (INT, [POINTER, POINTER]),
    "mifare_desfire_create_application_aes": (INT, [POINTER, POINTER, BYTE, BYTE]),
    "mifare_desfire_create_std_data_file": (INT, [POINTER, BYTE, BYTE, ctypes.c_uint16, UINT32]),
    "mifare_desfire_change_file_settings": (INT, [POINTER, BYTE, BYTE, ctypes.c_uint16]),
    "mifare_desfire_set_configuration": (INT, [POINTER, ctypes.c_bool, ctypes.c_bool]),
    "mifare_desfire_delete_application": (INT, [POINTER, POINTER]),
    "mifare_desfire_format_picc": (INT, [POINTER]),
    "mifare_desfire_free_mem": (INT, [POINTER, POINTER]),
    "mifare_desfire_read_data": (ctypes.c_ssize_t, [POINTER, BYTE, ctypes.c_long, SIZE, POINTER]),
    "mifare_desfire_write_data": (ctypes.c_ssize_t, [POINTER, BYTE, ctypes.c_long, SIZE, BYTES]),
}


@functools.cache
def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    nfc, freefare = ctypes.CDLL("libnfc.so.6"), ctypes.CDLL("libfreefare.so.0")
    nfc.nfc_init.argtypes = [POINTER]
    nfc.nfc_open.restype, nfc.nfc_open.argtypes = POINTER, [POINTER, BYTES]
    nfc.nfc_close.argtypes = nfc.nfc_exit.argtypes = nfc.nfc_initiator_init.argtypes = [POINTER]
    nfc.nfc_initiator_poll_target.argtypes = [POINTER, POINTER, SIZE, BYTE, BYTE, POINTER]
    nfc.nfc_initiator_target_is_present.argtypes = [POINTER, POINTER]
    for name, (answer, arguments) in SHAPES.items():
        function = getattr(freefare, name)
        function.restype, function.argtypes = answer, arguments
    return nfc, freefare


class Freefare:
    """One DESFire as libfreefare sees it. Calls hand back its own answers: 0 or a count, -1 = refused."""

    def __init__(self, card: int) -> None:
        self._card = card
        self._library = libraries()[1]

    def __getattr__(self, name: str):
        return functools.partial(getattr(self._library, f"mifare_desfire_{name}"), self._card)

    def aes(self, key: bytes, version: int = 0) -> int:
        return self._library.mifare_desfire_aes_key_new_with_version(key, version)

    def des(self, key: bytes = bytes(8)) -> int:
        return self._library.mifare_desfire_des_key_new(key)

    def aid(self, aid: bytes) -> int:
        return self._library.mifare_desfire_aid_new(int.from_bytes(aid, "little"))

    def select(self, aid: bytes) -> int:
        return self.select_application(self.aid(aid))

    def uid(self) -> str | None:
        told = ctypes.c_char_p()
        return told.value.decode() if self.get_card_uid(ctypes.byref(told)) == 0 else None

    def key_version(self, number: int) -> int | None:
        told = BYTE()
        return told.value if self.get_key_version(number, ctypes.byref(told)) == 0 else None

    def read(self, file: int, count: int, at: int = 0) -> bytes | None:
        room = ctypes.create_string_buffer(count + 64)  # it deciphers in place, padding and all
        got = self.read_data(file, at, count, room)
        return room.raw[:got] if got >= 0 else None

    def write(self, file: int, content: bytes, at: int = 0) -> int:
        return self.write_data(file, at, len(content), content)


class Device:
    """libnfc's own view of a chip."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._found = ctypes.create_string_buffer(512)  # an nfc_target is smaller

    def polls(self) -> bool:
        """One round of 150 ms for type A."""
        nfc = libraries()[0]
        nfc.nfc_initiator_init(self.handle)
        type_a_106 = (INT * 2)(1, 1)
        return nfc.nfc_initiator_poll_target(self.handle, type_a_106, 1, 1, 1, self._found) > 0

    def is_present(self) -> bool:
        return libraries()[0].nfc_initiator_target_is_present(self.handle, self._found) == 0


@contextlib.contextmanager
def opened(device: str) -> Iterator[Device]:
    """libnfc with the PN532 at `device`."""
    nfc, _ = libraries()
    context = POINTER()
    nfc.nfc_init(ctypes.byref(context))
    handle = nfc.nfc_open(context, f"pn532_uart:{device}:115200".encode())
    try:
        assert handle, "libnfc did not open the simulated chip"
        yield Device(handle)
    finally:
        if handle:
            nfc.nfc_close(handle)
        nfc.nfc_exit(context)


@contextlib.contextmanager
def connected(device: str) -> Iterator[Freefare]:
    """The one DESFire in the field of the PN532 at `device`, connected."""
    freefare = libraries()[1]
    with opened(device) as reader:
        found = freefare.freefare_get_tags(reader.handle)
        card = ctypes.cast(found, ctypes.POINTER(POINTER))[0]
        assert card, "libfreefare found no card"
        assert freefare.mifare_desfire_connect(card) == 0
        yield Freefare(card)
        freefare.mifare_desfire_disconnect(card)
        freefare.freefare_free_tags(found)
