"""Encoder families: each module is one family, named like the module."""
