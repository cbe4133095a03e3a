"""Measuring models on rows that no step has seen."""
