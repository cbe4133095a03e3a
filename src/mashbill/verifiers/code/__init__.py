"""Programs that are run with tests, in isolation, and judged from outside."""
