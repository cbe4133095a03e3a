"""Lineage: nodes, bills, definitions, tracing and audit. Reads a store; needs no ML stack."""
