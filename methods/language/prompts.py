"""Prompts with slots for learned vectors, and ensembles of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.language.encoder import TextTower, Tokens


@dataclass(frozen=True)
class SlottedPrompts:
    """Tokenised prompts in which some words are slots for learned vectors."""

    tokens: Tokens
    embeddings: torch.Tensor
    """(B, N, width), token embeddings with a placeholder word in each slot."""
    slots: torch.Tensor
    """int64 (B, n), positions of the slots."""

    def filled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Insert `vectors` (B, n, width), with gradients, into the slots: (B, N, width)."""
        positions = self.slots[:, :, None].expand_as(vectors)
        return self.embeddings.scatter(1, positions, vectors)


def word_id(tower: TextTower, word: str) -> int:
    """Token id of a word; raises BadParameter if the tower's tokenizer splits it into several tokens."""
    # An empty text has only the special tokens.
    one, none = tower.tokenize([word]), tower.tokenize([""])
    count = int(one.valid.sum() - none.valid.sum())
    if count != 1:
        raise BadParameter(
            f"'{word}' is {count} tokens of the text encoder: expected a word that is a single token"
        )
    return int(one.ids[0, 1])


def slotted(tower: TextTower, texts: Sequence[str], word: str) -> SlottedPrompts:
    """Tokenise prompts in which every occurrence of `word` is a slot.

    Raises BadParameter unless all texts have the same number of slots, at least one.
    """
    tokens = tower.tokenize(texts)
    matches = (tokens.ids == word_id(tower, word)) & tokens.valid
    counts = set(matches.sum(dim=1).tolist())
    if len(counts) != 1 or 0 in counts:
        raise BadParameter(f"prompts {list(texts)} do not all have the word '{word}' equally often")
    slots = matches.nonzero()[:, 1].view(len(texts), -1)
    return SlottedPrompts(tokens, tower.embed(tokens.ids), slots)


def ensemble(tower: TextTower, texts: Sequence[str], *, normalise_each: bool = False) -> torch.Tensor:
    """Average the embeddings of several texts to one unit vector (dim,).

    Args:
        tower: Text tower.
        texts: Texts of the ensemble.
        normalise_each: Normalise each embedding before averaging.
    """
    vectors = tower(texts)
    if normalise_each:
        vectors = functional.normalize(vectors, dim=-1)
    return functional.normalize(vectors.mean(dim=0), dim=0)
