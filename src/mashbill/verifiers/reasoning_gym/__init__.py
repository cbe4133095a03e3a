"""``reasoning-gym``: tasks whose answers their own generator scores, of those that can be told."""
