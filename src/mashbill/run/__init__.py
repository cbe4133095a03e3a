"""The executor: fingerprint, lock, stage, commit, for every stage of a plan in order."""
