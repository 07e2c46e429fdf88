"""Curves, regions and passes over pixels that several metrics share."""
