"""Processors that set up the system and its tenants."""
