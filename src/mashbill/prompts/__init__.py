"""Prompts: the one template language, its bounds, and the schemas that answers satisfy."""
