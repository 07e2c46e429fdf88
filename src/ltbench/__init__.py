"""A benchmark of visual anomaly detection on long-tailed, contaminated training data."""
