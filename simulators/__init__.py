"""Readers, cards, relay boards, doors and people as real wire devices. Imports nothing of ours: own codecs."""
