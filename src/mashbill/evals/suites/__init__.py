"""Suites of others: lm-evaluation-harness and inspect-ai, in environments of their own."""
