"""Processors that check data."""
