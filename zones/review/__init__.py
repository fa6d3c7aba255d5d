"""Looking back at decisions: why, again, what if, who could. Pure: it asks `zones.decision.decide` and nothing else."""
