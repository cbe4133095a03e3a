"""A reverse proxy in front of a model API, and a guardrail's endpoint: a scan's engine, live."""
