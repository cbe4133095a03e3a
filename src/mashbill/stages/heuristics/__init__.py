"""Rules of published corpora by which a text is kept or not: Gopher's, C4's, mC4's, FineWeb's."""
