"""Handing an artifact on: its files, a card with the bill, the bill for programs, the digests."""
