"""``environment``: what an environment of the package ``verifiers`` pays for an output."""
