"""Who could be where, proven: a search over every reachable state that asks the real rules (docs/lint.md §2)."""

from zones.proofs.keys import Keys, keys_held
from zones.proofs.prove import Proof, Witness, prove, who_can
from zones.proofs.search import STRANGER, Step, Stopped

__all__ = ["STRANGER", "Keys", "Proof", "Step", "Stopped", "Witness", "keys_held", "prove", "who_can"]
