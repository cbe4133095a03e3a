"""What breaks if some sources go, over a whole catalogue, store or hub.

``passes`` is the question itself, a few passes over the circuit; ``impact`` and ``population`` say
how hard; ``capability`` and ``substitutes`` who could take a place; ``lead`` how long it takes;
``unknowns`` and ``one_gap`` what claims that are missing could change; ``series``, ``flows`` and
``words`` are how it is told.
"""
