"""The control store: what the system decides by."""
