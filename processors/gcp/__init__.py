"""Processors for Google Cloud."""
