"""Suites, cells, the runner, evaluation, metrics and the command line."""
