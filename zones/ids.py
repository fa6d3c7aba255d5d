"""The names of things: opaque identifiers, one NewType per kind, never a person's name.

An identifier is lower-case letters, digits and dashes (`ID_PATTERN`), so that it can stand in a topic, a path,
a log line and a URL without quoting. Cardholder identifiers are pseudonyms: names live in the web process alone.
"""

from __future__ import annotations

from typing import NewType

ZoneId = NewType("ZoneId", str)
PortalId = NewType("PortalId", str)
AccessPointId = NewType("AccessPointId", str)
ScheduleId = NewType("ScheduleId", str)
CardholderId = NewType("CardholderId", str)
CredentialId = NewType("CredentialId", str)
ClearanceId = NewType("ClearanceId", str)
NeedToKnowId = NewType("NeedToKnowId", str)
RosterEntryId = NewType("RosterEntryId", str)
InformationItemId = NewType("InformationItemId", str)
CalendarId = NewType("CalendarId", str)
TrainingId = NewType("TrainingId", str)
DeclarationId = NewType("DeclarationId", str)
VisitId = NewType("VisitId", str)
OverrideId = NewType("OverrideId", str)
WalkId = NewType("WalkId", str)
DeviceId = NewType("DeviceId", str)
OfficerId = NewType("OfficerId", str)
OfficerKeyId = NewType("OfficerKeyId", str)
CardNumberHash = NewType("CardNumberHash", str)
"""Keyed hash of a card number (hex). The bits a reader sent are never kept."""

ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,63}"
