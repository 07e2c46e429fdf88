"""Training of the backbone `tiny` on formula-driven pictures: `python -m
methods.features.backbones.tiny_training`."""
