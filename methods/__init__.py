"""Anomaly detectors behind one fit/score interface, and their building blocks."""
