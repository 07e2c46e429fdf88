"""Splits from and for other tools: read, compare, keep under a name, write, publish."""
