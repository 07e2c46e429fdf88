"""Families of backbones, one module each."""
