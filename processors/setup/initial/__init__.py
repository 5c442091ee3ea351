"""Processors that set up the system once."""
