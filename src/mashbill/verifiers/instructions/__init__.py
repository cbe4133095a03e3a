"""``instructions``: whether an output keeps what its prompt demands of its form, by rules."""
