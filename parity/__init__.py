"""Comparisons of ltbench's methods with their authors' code: same weights, same inputs, stage by stage."""
