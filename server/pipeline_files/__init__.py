"""Reads the files that people write, and says of every fault in them where it stands."""
