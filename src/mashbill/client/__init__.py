"""The one client of services: who asks, within which limits and caps, and over which wires."""
