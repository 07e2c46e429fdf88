"""Prompts that know no product: learned words for "normal" and "damaged" (AnomalyCLIP)."""

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
    """ "[V1] ... [Vn] object." and "[W1] ... [Wn] damaged object.", and deep tokens inside the text tower.

    Zhou et al., ICLR 2024, sections 3.2 and 3.3. Before each of the blocks 2 to `deep_blocks` (from 1, and no
    more than there are) `deep_tokens` learned vectors take the places after the start token. The tower itself
    stays as it is.
    """

    def __init__(self, tower: TextTower, *, words: int, deep_blocks: int, deep_tokens: int) -> None:
        """Draws N(0, 0.02) with torch's generator. Raises BadParameter for more words than a text holds."""
        super().__init__()
        texts = [" ".join([_SLOT] * words + [ending]) for ending in _ENDINGS]
        # Not a submodule: what is frozen is no part of a checkpoint.
        self._tower, self._prompts = (tower,), slotted(tower, texts, _SLOT)
        device = self._prompts.embeddings.device
        self.words = _drawn(len(texts), words, tower.width, device=device)
        deep = range(1, min(deep_blocks, tower.depth)) if deep_tokens else ()
        self.deep = nn.ParameterDict(
            {str(block): _drawn(deep_tokens, tower.width, device=device) for block in deep}
        )

    def forward(self) -> torch.Tensor:
        """(2, dim): unit embeddings of "normal" and "damaged"; gradients reach the learned vectors only."""
        (tower,) = self._tower
        overwrite = {int(block): tokens for block, tokens in self.deep.items()}
        texts = tower.encode(self._prompts.filled(self.words), self._prompts.tokens, overwrite)
        return functional.normalize(texts, dim=-1)


def _drawn(*shape: int, device: torch.device) -> nn.Parameter:
    # Moved before it becomes a parameter: afterwards the move would leave a plain tensor that nothing trains.
    return nn.Parameter((torch.randn(shape) * _SPREAD).to(device))
