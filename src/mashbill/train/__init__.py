"""Steps that make models, one self-contained file a method."""
