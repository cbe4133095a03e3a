"""A log scanned: batches in, state kept, findings out, the same after any kill."""
