"""Traffic with known truth: honest kinds and campaigns, seeded, from parameters that are frozen."""
