"""Cards that prove themselves: state machines without I/O, APDU in, APDU out (docs/wire/cards.md)."""
