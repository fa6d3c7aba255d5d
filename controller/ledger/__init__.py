"""The tamper-evident ledger (docs/ledger.md): bodies, tree, checkpoints, and the one file they lie in."""
