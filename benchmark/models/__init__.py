"""Fitted methods that stay: a folder per model, its thresholds, and verdicts on new images."""
