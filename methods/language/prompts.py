"""Prompts with slots: learned vectors in the place of words, and ensembles of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.language.encoder import TextTower, Tokens


@dataclass(frozen=True)
class SlottedPrompts:
    """Texts some of whose words stand for vectors that come later."""

    tokens: Tokens
    embeddings: torch.Tensor
    """(B, N, width) of the texts as written."""
    slots: torch.Tensor
    """int64 (B, n): positions that are replaced."""

    def filled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Token embeddings (B, N, width) with `vectors` (B, n, width) in the slots; gradients reach them."""
        places = self.slots[:, :, None].expand_as(vectors)
        return self.embeddings.scatter(1, places, vectors)


def word_id(tower: TextTower, word: str) -> int:
    """Token id of a word; raises BadParameter if the tower's vocabulary cuts it into several tokens."""
    # A text without the word tells which tokens belong to every text.
    one, none = tower.tokenize([word]), tower.tokenize([""])
    found = int(one.valid.sum() - none.valid.sum())
    if found != 1:
        raise BadParameter(
            f"'{word}' is {found} tokens of the text encoder: expected a word that is a single token"
        )
    return int(one.ids[0, 1])


def slotted(tower: TextTower, texts: Sequence[str], word: str) -> SlottedPrompts:
    """Prompts in which each occurrence of `word` is a slot, equally many in every text.

    Raises BadParameter if there are none, or not equally many.
    """
    tokens = tower.tokenize(texts)
    matches = (tokens.ids == word_id(tower, word)) & tokens.valid
    counts = set(matches.sum(dim=1).tolist())
    if len(counts) != 1 or 0 in counts:
        raise BadParameter(f"prompts {list(texts)} do not all have the word '{word}' equally often")
    slots = matches.nonzero()[:, 1].view(len(texts), -1)
    return SlottedPrompts(tokens, tower.embed(tokens.ids), slots)


def ensemble(tower: TextTower, texts: Sequence[str], *, normalise_each: bool = False) -> torch.Tensor:
    """Unit vector (dim,): mean of the texts' embeddings, each brought to unit length first if asked."""
    vectors = tower(texts)
    if normalise_each:
        vectors = functional.normalize(vectors, dim=-1)
    return functional.normalize(vectors.mean(dim=0), dim=0)
