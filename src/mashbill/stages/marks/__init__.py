"""Marks of laundering: what in files and rows, and in a store, speaks against a declared origin.

Whoever reads data for the first time lets them be looked at (``StageContext.look``): columns for
receipts and names of models, files for what :mod:`mashbill.publish` writes beside rows, texts for
those that the store or its journal has already. docs/sources.md says what is found, and what is
not. Nothing here changes a node, a digest or a fingerprint.

The executor and an audit read nodes without them. Looked for are receipts, bills beside files,
columns of names, texts that a store or its journal holds, and passages of them (``passages``).
"""
