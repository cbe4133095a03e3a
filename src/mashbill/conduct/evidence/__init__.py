"""From statistics to findings: betting, discovery over clusters, tiers, cases that derive again."""
