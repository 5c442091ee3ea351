"""Processors for Amazon Web Services."""
