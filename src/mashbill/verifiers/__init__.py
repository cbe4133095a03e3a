"""Verifiers: they score an output against what is known."""
