"""Terms by route and date, the catalogue of public models, and rules that make facts decisions.

Pure: nothing here reads a store, a network or a clock.
"""
