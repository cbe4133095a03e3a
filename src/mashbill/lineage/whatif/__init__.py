"""What breaks if some sources go, over a whole catalogue, store or hub.

``passes`` is the question itself, a few passes over the circuit; ``impact`` and ``population`` say
how hard; ``capability`` and ``substitutes`` who could take a place; ``lead`` how long it takes;
``unknowns`` and ``one_gap`` what claims that are missing could change; ``series``, ``flows`` and
``words`` are how it is told.

``use_terms`` asks terms once a kind of source and a role, and ``sparse`` keeps what hardly a node
has: nothing here goes over things one by one, and what is told is the first few (``foremost``).
"""
