"""The syslog sink: RFC 5424 messages over TLS (RFC 5425), to a receiver that acknowledges nothing (docs/streams.md).

The rules of this file:
  1. Written is not arrived. After `resend` records the line is closed in order, which proves that the receiver's
     process has read every byte (`syslog_line`). Only that counts as read.
  2. Read is not stored. The last `resend` records that were read are not acknowledged yet, so that they are sent again
     after whatever breaks, a crash of ours included.
  3. A line that ends unasked, by whatever, makes everything that is not acknowledged unsent. So that no death of the
     receiver goes unseen, a line always stands: the next one is opened before one is closed.
  4. Before each record the line is looked at: a closed one is noticed before more is written into it, and a refusal of
     our certificate, which TLS 1.3 tells after the handshake, before the first.

What may be lost all the same: records that the receiver's process had read and then lost by itself, when it had read
more than `resend` later ones before it died (its queue in memory).
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from controller.streams import tls_files
from controller.streams.section import Port, Seconds, SinkSection
from controller.streams.sinks import SinkDown
from controller.streams.syslog_line import SyslogLine
from controller.streams.syslog_message import Format, Style, frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.streams.outgoing import Outgoing

FRESH_MAX: Final = 64
"""So many new records may stand in a batch behind those that wait for their acknowledgement."""

RESEND_MAX: Final = 10_000
BYTES_MIN: Final = 2048
"""What every receiver must take (RFC 5425 §4.3.1)."""


class SyslogSection(SinkSection, frozen=True, kw_only=True, tag="syslog"):
    """`[[sink]]` of kind "syslog".

    `tls_min`: for a receiver that has no TLS 1.3. `resend`: so many are sent again after whatever breaks. `enterprise`:
    the private enterprise number of the structured data (32473 is for examples, RFC 5612). `hostname`: else the node's
    name. `message_bytes_max`: what the receiver takes whole; larger ones go in parts. `timeout_s`: for connecting, each
    write, and the end of a line.
    """

    host: str
    port: Port = 6514
    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None
    tls_min: Literal["1.2", "1.3"] = "1.3"
    format: Format = "json"
    resend: Annotated[int, msgspec.Meta(ge=0, le=RESEND_MAX)] = 64
    enterprise: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,10}){0,3}\Z")] = "32473"
    hostname: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,255}\Z")] = ""
    message_bytes_max: Annotated[int, msgspec.Meta(ge=BYTES_MIN)] = 8192
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        tls_files.check_pair(host=self.host, ca_file=self.ca_file, cert_file=self.cert_file, key_file=self.key_file)


class SyslogSink:
    """One receiver. Used by one thread."""

    def __init__(self, section: SyslogSection) -> None:
        self._section = section
        self._style = Style(
            format=section.format,
            enterprise=section.enterprise,
            hostname=section.hostname,
            bytes_max=section.message_bytes_max,
        )
        self._line: SyslogLine | None = None
        self._is_doubted = True
        self._written: deque[int] = deque()  # in order, on lines that did not break: those that were not acknowledged
        self._read = 0  # how many of the first of these the receiver's process has read
        self.batch_max: int = 2 * section.resend + FRESH_MAX

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        """Write what of `batch` was not written yet; how many of its first records were read by the receiver, and by
        now more than `resend` later ones too. SinkDown where the line is not whole.
        """
        while self._written and self._written[0] < batch[0].seq:
            self._written.popleft()  # acknowledged
            self._read = max(0, self._read - 1)
        last = self._written[-1] if self._written else -1
        try:
            self._write([one for one in batch if one.seq > last])
        except SinkDown:
            self.close()
            raise
        done = max(0, self._read - self._section.resend)
        return min(done, len(batch))

    def close(self) -> None:
        """Hang up. What was not acknowledged is written again on the next line."""
        line, self._line = self._line, None
        self._is_doubted = True
        self._written.clear()
        self._read = 0
        if line is not None:
            line.hang_up()

    def _write(self, fresh: Sequence[Outgoing]) -> None:
        if self._line is not None:
            self._line.check()
        for one in fresh:
            if self._line is None:
                self._line = self._new_line()
            for frame in frames(one, self._style):
                self._line.send(frame)
            self._written.append(one.seq)
        if self._line is not None and len(self._written) - self._read >= max(1, self._section.resend):
            old, self._line = self._line, None
            try:
                self._line = self._new_line()
            except SinkDown:
                old.hang_up()
                raise
            old.close_in_order()
            self._read = len(self._written)
            self._is_doubted = False

    def _new_line(self) -> SyslogLine:
        section = self._section
        context = tls_files.client_context(section.ca_file, section.cert_file, section.key_file, section.tls_min)
        address = (section.host, section.port)
        return SyslogLine(address, context, timeout_s=section.timeout_s, is_doubted=self._is_doubted)
