"""What the rows of a dataset are like: one pass over them, in memory that does not grow with them.

Minima, maxima, means, totals, histograms and counts of missing values are exact. Quantiles are
exact up to 32,768 rows, and those of an even sample beyond; distinct values are counted exactly up
to a million, and estimated beyond within half a percent. Languages are told of 2,000 rows at most.
Each says which it is.
"""
