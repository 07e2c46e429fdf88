"""Learned object-agnostic prompts for "normal" and "damaged" (AnomalyCLIP)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.language.encoder import TextTower
from ltbench.methods.language.prompts import slotted

_SLOT = "x"
_ENDINGS = ("object.", "damaged object.")
_SPREAD = 0.02


class LearnedPrompts(nn.Module):
    """Learned prompts "[V1] ... [Vn] object." and "[W1] ... [Wn] damaged object." with deep tokens.

    Zhou et al., ICLR 2024, sections 3.2 and 3.3. Before each of the blocks 2 to `deep_blocks` (counted from
    1, at most the tower's depth), `deep_tokens` learned vectors replace the tokens after the start token. The
    tower itself is frozen.
    """

    def __init__(self, tower: TextTower, *, words: int, deep_blocks: int, deep_tokens: int) -> None:
        """Draw the vectors from N(0, 0.02) by torch's generator.

        Args:
            tower: Frozen text tower.
            words: Number of learned words per prompt.
            deep_blocks: Last block, counted from 1, that deep tokens precede.
            deep_tokens: Number of deep tokens per block; 0 = none.

        Raises:
            BadParameter: For more words than the tower's context holds.
        """
        super().__init__()
        texts = [" ".join([_SLOT] * words + [ending]) for ending in _ENDINGS]
        # Wrapped in a tuple so that the frozen tower is no submodule and stays out of checkpoints.
        self._tower, self._prompts = (tower,), slotted(tower, texts, _SLOT)
        device = self._prompts.embeddings.device
        self.words = _drawn(len(texts), words, tower.width, device=device)
        deep = range(1, min(deep_blocks, tower.depth)) if deep_tokens else ()
        self.deep = nn.ParameterDict(
            {str(block): _drawn(deep_tokens, tower.width, device=device) for block in deep}
        )

    def forward(self) -> torch.Tensor:
        """Unit embeddings (2, dim) of "normal" and "damaged"; gradients reach the learned vectors only."""
        (tower,) = self._tower
        overwrite = {int(block): tokens for block, tokens in self.deep.items()}
        texts = tower.encode(self._prompts.filled(self.words), self._prompts.tokens, overwrite)
        return functional.normalize(texts, dim=-1)


def _drawn(*shape: int, device: torch.device) -> nn.Parameter:
    """Draw a trainable parameter from a normal distribution of standard deviation `_SPREAD`."""
    # Moved before it becomes a parameter: moving a parameter returns a plain tensor, which is not trained.
    return nn.Parameter((torch.randn(shape) * _SPREAD).to(device))
