"""Families of encoders: one module each, found by its name."""
