"""What points at a person in a text: found by its form and checked by well-kept libraries."""
