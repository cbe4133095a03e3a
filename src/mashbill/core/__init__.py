"""The tiny centre: bytes and digests, records, artifacts, the ledger, recipes, stages, errors."""
