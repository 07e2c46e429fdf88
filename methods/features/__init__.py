"""Frozen features: backbones, one shared cache, batched extraction."""
