"""The journal: what teachers were asked, what they answered, and what was paid for it."""
