"""Trainable layers that several methods share."""
