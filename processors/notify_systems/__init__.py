"""Processors that tell people about a run."""
