"""Bills, definitions and verdicts over a circuit, and how they are told."""
