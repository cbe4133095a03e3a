"""Stages whose teacher writes: what they share."""
