"""`toy-vl`: the image half of the vision-language encoder of that name."""

from __future__ import annotations

from pathlib import Path

from ltbench.methods.language import backbone


def load(
    model: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None
) -> backbone.EncoderBackbone:
    """Raises BadParameter for an unknown name or layer, WeightsMissing with the ways out."""
    name = f"toy-vl:{model}" if model else "toy-vl"
    return backbone.load(name, device=device, weights_root=weights_root, layers=layers)
