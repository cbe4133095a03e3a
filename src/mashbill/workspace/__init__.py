"""A workspace: everything that a person can ask of a store, as verbs that return values.

The command line is thin over it, and so are notebooks: ``import mashbill as mb; mb.open("store")``.
"""
