"""Pseudo class names s_c of LTAD: learned vectors that replace the words of a class name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.language.encoder import TextTower, Tokens
from ltbench.methods.language.prompts import word_id

Init = Literal["word", "class_name", "random"]


@dataclass(frozen=True)
class Prompts:
    """One prompt per class, "[v; s_c]" or s_c alone, whose last words are slots for vectors."""

    tokens: Tokens
    embeddings: torch.Tensor
    """(K, N, W), token embeddings with the placeholder word in each slot."""
    rows: torch.Tensor
    """int64 (S,), class of each vector of s_c, class by class."""
    places: torch.Tensor
    """int64 (S,), position of that vector in its class' prompt."""

    def filled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Insert the S vectors of all names, with gradients, into their slots: (K, N, W)."""
        return self.embeddings.index_put((self.rows, self.places), vectors)


class PseudoNames(nn.Module):
    """Learned names s_c of K classes as token embeddings, encoded by the frozen text encoder T."""

    def __init__(
        self,
        text: TextTower,
        starts: Sequence[torch.Tensor],
        word: str,
        *,
        normal: Sequence[str],
        abnormal: Sequence[str],
        normalise: bool = False,
    ) -> None:
        """Build the prompts.

        Args:
            text: Frozen text tower T.
            starts: Initial s_c of each class, (length, W).
            word: Word of a single token that marks a slot in prompts.
            normal: Prompts v^n; the embeddings of several prompts are averaged.
            abnormal: Prompts v^a.
            normalise: Normalise text embeddings.

        Raises:
            BadParameter: Without a prompt.
        """
        super().__init__()
        if not normal or not abnormal:
            raise BadParameter("normal_prompts and abnormal_prompts need at least one prompt each")
        # Only the method is kept: the tower as a submodule would be trained and saved with the names.
        self._encode, self._normalise = text.encode, normalise
        lengths = [len(start) for start in starts]
        self.vectors = nn.Parameter(torch.cat(list(starts)).clone())
        self._alone = slots(text, "", word, lengths)
        self._normal = [slots(text, prompt, word, lengths) for prompt in normal]
        self._abnormal = [slots(text, prompt, word, lengths) for prompt in abnormal]

    def prototypes(self) -> torch.Tensor:
        """Class prototypes t_c = T(s_c), (K, d), which condition the decoder of phase 1."""
        return self._encoded([self._alone])

    def classifiers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Equation (4): t_n,c = T([v^n; s_c]) and t_a,c = T([v^a; s_c]), (K, d) each."""
        return self._encoded(self._normal), self._encoded(self._abnormal)

    def _encoded(self, prompts: Sequence[Prompts]) -> torch.Tensor:
        """Mean embedding (K, d) of the prompts of each class."""
        vectors = [self._encode(prompt.filled(self.vectors), prompt.tokens) for prompt in prompts]
        mean = torch.stack(vectors).mean(dim=0)
        return functional.normalize(mean, dim=-1) if self._normalise else mean


class FreeVectors(nn.Module):
    """Learned vectors in place of a text encoder: one per class for the decoder, two for the classifier."""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.prototype = nn.Parameter(torch.randn(classes, dim) / dim**0.5)
        self.normal = nn.Parameter(torch.randn(classes, dim) / dim**0.5)
        self.abnormal = nn.Parameter(torch.randn(classes, dim) / dim**0.5)

    def prototypes(self) -> torch.Tensor:
        """Learned class vectors (classes, d)."""
        return self.prototype

    def classifiers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Learned normal and abnormal vectors, (classes, d) each."""
        return self.normal, self.abnormal


def slots(text: TextTower, prompt: str, word: str, lengths: Sequence[int]) -> Prompts:
    """Tokenise prompts "`prompt` word ... word" whose words are slots.

    Args:
        text: Text tower.
        prompt: Words before the slots; may be empty.
        word: Word of a single token that marks a slot.
        lengths: Number of slots of each class.
    """
    tokens = text.tokenize([" ".join([prompt, *[word] * length]).strip() for length in lengths])
    is_word = (tokens.ids == word_id(text, word)) & tokens.valid
    rows, places = [], []
    for row, length in enumerate(lengths):
        # The last occurrences, since the prompt itself may contain the word.
        positions = is_word[row].nonzero()[-length:, 0].tolist()
        rows += [row] * length
        places += positions
    device = tokens.ids.device
    return Prompts(
        tokens, text.embed(tokens.ids), torch.tensor(rows, device=device), torch.tensor(places, device=device)
    )


def starting_names(
    text: TextTower, classes: int, *, init: Init, word: str, length: int, class_names: Sequence[str] | None
) -> list[torch.Tensor]:
    """Initialise the names s_c of all classes.

    Args:
        text: Text tower.
        classes: Number of classes.
        init: "word" = `word` repeated, "class_name" = the class' own name, with as many vectors as it has
            tokens, "random" = noise with the standard deviation of the word's embedding.
        word: Word of a single token.
        length: Vectors per name, except for "class_name".
        class_names: Names of the classes, for "class_name".

    Returns:
        One (length, W) tensor per class.

    Raises:
        BadParameter: For a length below 1, or missing class names.
    """
    if length < 1:
        raise BadParameter(f"name_length is {length}: expected at least 1")
    if init == "class_name":
        if class_names is None:
            raise BadParameter("names_init is 'class_name', but there are no class names")
        return [_words_of(text, name.replace("_", " ")) for name in class_names]
    vector = text.embed(torch.tensor([[word_id(text, word)]], device=text.tokenize([word]).ids.device))[0]
    if init == "random":
        spread = vector.std()
        return [torch.randn(length, text.width, device=vector.device) * spread for _ in range(classes)]
    return [vector.repeat(length, 1) for _ in range(classes)]


def _words_of(text: TextTower, name: str) -> torch.Tensor:
    """Token embeddings (length, W) of a class name. Raises BadParameter for an empty name."""
    tokens, empty = text.tokenize([name]), text.tokenize([""])
    count = int(tokens.valid.sum() - empty.valid.sum())
    if count < 1:
        raise BadParameter(f"the class name '{name}' has no token: expected a word")
    return text.embed(tokens.ids)[0, 1 : 1 + count]
