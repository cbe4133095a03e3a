"""Weights and the engines that run them; what teachers answer with and trainers start from."""
