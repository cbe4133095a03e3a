"""Rows of foreign files: formats and encodings, cells, forms, and which rows say the same."""
