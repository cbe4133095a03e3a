"""A judge: teachers with a rubric, as a verifier."""
