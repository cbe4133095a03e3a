"""Readers of logs of model calls, each to batches of events (:mod:`mashbill.conduct.events`)."""
