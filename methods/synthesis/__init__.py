"""Synthetic defects on normal images, and in-memory pixels to draw them on."""
