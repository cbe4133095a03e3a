"""Addresses and what lies behind them: disk, object stores, the web, hubs, packages."""
