"""MQTT devices that can be bought, declared as data (docs/wire/mqtt-profiles.md)."""
