"""OSDP 2.2.2 (SIA; IEC 60839-11-5) as the control panel: a multi-drop bus of readers, each inside its own Secure
Channel. Refuses clear text, the default key and automatic keys (docs/wire/osdp.md).
"""

from readers.protocols.osdp.bus import OsdpBus
from readers.protocols.osdp.crypto import refuse_weak_key
from readers.protocols.osdp.values import PdPlan, Signal, Standing

__all__ = ["OsdpBus", "PdPlan", "Signal", "Standing", "refuse_weak_key"]
