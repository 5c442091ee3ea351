"""Processors that set up a tenant."""
