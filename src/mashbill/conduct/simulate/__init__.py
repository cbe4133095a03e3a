"""Traffic with known truth: honest kinds and campaigns, seeded, from parameters that are frozen."""

from mashbill.conduct.simulate.parameters import Parameters, parameters
from mashbill.conduct.simulate.simulating import CAMPAIGNS, HONEST, KINDS, Simulated, simulate

__all__ = ["CAMPAIGNS", "HONEST", "KINDS", "Parameters", "Simulated", "parameters", "simulate"]
