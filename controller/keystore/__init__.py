"""The keys of cards and readers: apart from both databases, sealed, counted, never printed (docs/keys.md)."""
