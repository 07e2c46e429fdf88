"""Renderer of the synthetic data set: images drawn by formulas with NumPy and SciPy."""
