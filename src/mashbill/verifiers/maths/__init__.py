"""``maths``: an answer and the one that is known to be right are the same number, set or form."""
