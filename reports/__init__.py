"""Aggregation, statistics, templates and the static site: made of results alone."""
