"""ALIGN (`align:kakaobrain/align-base` or `align:FOLDER`) through the optional package transformers.

EfficientNet-B7 and BERT with a shared space of 640 dimensions (Jia et al., ICML 2021; weights by Kakao
Brain). Image layers are named by block number, from 0: LTAD reads 3, 10, 17 and 37, the last blocks at
strides 2, 4, 8 and 16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ltbench.home_folders import expanded
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features import hub, weights
from ltbench.methods.language import checkpoints
from ltbench.methods.language.encoder import NOTHING, Encoder, Tokens
from ltbench.methods.language.pixels import normalised

RECIPE = "align/1"
PAPER_LAYERS = ("3", "10", "17", "37")
CONTEXT = 64
"""Number of tokens that the authors' processor pads texts to."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_REST = ("config.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json")
_MIDDLE = (0.5, 0.5, 0.5)


class Images:
    """EfficientNet image tower: maps after blocks, at the size of the given pixels."""

    def __init__(self, vision: nn.Module) -> None:
        self._vision = vision
        self._depth = len(vision.encoder.blocks)
        self.layers = tuple(layer for layer in PAPER_LAYERS if int(layer) < self._depth)

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        for layer in layers:
            if not layer.isdecimal() or int(layer) >= self._depth:
                raise BadParameter(
                    f"the encoder has no layer '{layer}': expected block numbers 0 to {self._depth - 1}"
                )
        device = next(self._vision.parameters()).device
        features = self._vision.embeddings(normalised(pixels.to(device), None, _MIDDLE, _MIDDLE))
        maps = {}
        for number, block in enumerate(self._vision.encoder.blocks):
            features = block(features)
            if str(number) in layers:
                maps[str(number)] = features
        return {**maps, "pooled": self._vision.pooler(features).flatten(1)}


class Text:
    """BERT text tower, read at its first token and projected to the shared space."""

    context = CONTEXT

    def __init__(self, model: nn.Module, tokenizer: Any, encoder: str) -> None:
        self._model, self._tokenizer, self._name = model, tokenizer, encoder
        self._words = model.text_model.embeddings.word_embeddings
        self.width = int(self._words.weight.shape[1])
        self.depth = len(model.text_model.encoder.layer)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; raises BadParameter for a text of more than `CONTEXT` tokens."""
        encoded = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        ids, valid = encoded["input_ids"], encoded["attention_mask"].bool()
        if ids.shape[1] > CONTEXT:
            text = texts[int(valid.sum(dim=1).argmax())]
            raise BadParameter(
                f"the text '{text}' is too long for '{self._name}': expected at most {CONTEXT} tokens"
            )
        device = self._words.weight.device
        read = torch.zeros(len(ids), dtype=torch.int64, device=device)
        return Tokens(ids.to(device), valid.to(device), read)

    @torch.no_grad()
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up token embeddings (B, N, width)."""
        return self._words(ids)

    def encode(
        self, embeddings: torch.Tensor, tokens: Tokens, overwrite: Mapping[int, torch.Tensor] = NOTHING
    ) -> torch.Tensor:
        """Encode token embeddings as text embeddings (B, dim); raises BadParameter for deep tokens."""
        if overwrite:
            raise BadParameter(f"'{self._name}' takes no deep tokens: expected an encoder 'openclip:...'")
        mask = tokens.valid[:, : embeddings.shape[1]].to(torch.int64)
        read = self._model.text_model(inputs_embeds=embeddings, attention_mask=mask)[0][:, 0]
        return self._model.text_projection(read)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenize(texts)
        return self.encode(self.embed(tokens.ids), tokens)


def load(model: str, *, device: str, weights_root: Path | None) -> Encoder:
    """Load ALIGN; raises WeightsMissing without weights and MethodsError without the package transformers."""
    encoder = f"align:{model}"
    folder = checkpoint_folder(model, encoder, weights_root)
    transformers = imported_transformers()
    file = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise checkpoints.missing(encoder, f"https://huggingface.co/{model}", f"{model}/")
    digest = checkpoints.verified_sha256(file)
    with weights.reading(file, encoder):
        built, found = transformers.AlignModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # transformers initialises weights that a file lacks at random, with only a warning.
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise BadParameter(f"the weights '{file}' do not fit ALIGN: they lack {', '.join(lacking[:3])}")
    built = built.eval().requires_grad_(False).to(device)
    return Encoder(
        name=encoder,
        digest=hashlib.sha256(json.dumps([RECIPE, digest]).encode()).hexdigest(),
        dim=int(built.config.projection_dim),
        logit_scale=float(1 / built.temperature),
        images=Images(built.vision_model),
        text=Text(built, tokenizer, encoder),
    )


def checkpoint_folder(model: str, encoder: str, weights_root: Path | None) -> Path:
    """Find the folder with weights, configuration and vocabulary.

    Searches `model` as a path, then the weights folder, then Hugging Face's cache or hub.

    Raises:
        BadParameter: If `model` is empty.
        WeightsMissing: If the folder is not found.
    """
    if not model:
        raise BadParameter(
            "'align:' names no model: expected 'align:kakaobrain/align-base' or 'align:FOLDER'"
        )
    given = expanded(model)
    if given.is_dir():
        return given
    found = checkpoints.in_mirror((model, model.rpartition("/")[2]), weights_root)
    if found is not None:
        return found
    file = hub.file_of(model, _WEIGHTS) if model.count("/") == 1 else None
    if file is None:
        raise checkpoints.missing(encoder, f"https://huggingface.co/{model}", f"{model}/")
    for name in _REST:
        hub.file_of(model, (name,))
    return file.parent


def imported_transformers() -> ModuleType:
    """Import transformers, or raise MethodsError with the reason why it cannot be imported."""
    try:
        import transformers
    except ImportError as error:
        raise MethodsError(
            f"the encoder 'align:...' needs the package transformers, which cannot be imported ({error}): "
            "pip install 'ltbench[align]', or choose the encoder 'toy-vl'"
        ) from error
    return transformers
