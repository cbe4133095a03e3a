"""Steps that make datasets, one file a step."""
