"""Towers of open_clip's models in parts; the only module that depends on open_clip's internals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.language.encoder import NOTHING, ImageTower, TextTower, Tokens
from ltbench.methods.language.paths import TransformerImages, attention_among_values
from ltbench.methods.language.pixels import normalised

TOLERANCE = 1e-3
"""Largest accepted difference from the model's own embedding, relative to its length."""


class Blocks:
    """Residual blocks of a transformer, called batch first whichever order open_clip's version uses."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._blocks = blocks
        self._batch_first = batch_comes_first(blocks[0])

    def __len__(self) -> int:
        return len(self._blocks)

    def __call__(self, index: int, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if self._batch_first:
            return self._blocks[index](tokens, attn_mask=mask)
        return self._blocks[index](tokens.transpose(0, 1), attn_mask=mask).transpose(0, 1)

    def among_values(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Value-to-value attention of block `index`, without residual."""
        block = self._blocks[index]
        attention = block.attn
        width = tokens.shape[-1]
        bias = None if attention.in_proj_bias is None else attention.in_proj_bias[2 * width :]
        values = functional.linear(block.ln_1(tokens), attention.in_proj_weight[2 * width :], bias)
        mixed = attention.out_proj(attention_among_values(values, attention.num_heads))
        return block.ls_1(mixed)


@torch.no_grad()
def batch_comes_first(block: nn.Module) -> bool:
    """Whether a block attends over axis 1 rather than axis 0, determined by a trial run."""
    weight = block.ln_1.weight
    inputs = torch.arange(6.0, device=weight.device)[:, None] * torch.linspace(-1, 1, len(weight)).to(weight)
    inputs = inputs.sin().view(2, 3, -1)
    changed = inputs.clone()
    changed[1] += torch.linspace(0, 1, len(weight)).to(weight)
    return bool(torch.allclose(block(inputs)[0], block(changed)[0], atol=1e-5))


class TransformerTower:
    """Parts of open_clip's VisionTransformer."""

    def __init__(self, visual: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        self._visual = visual
        self._mean, self._std = mean, std
        self._blocks = Blocks(visual.transformer.resblocks)
        self.image_size = int(visual.image_size[0])
        self.grid = int(visual.grid_size[0])
        self.depth = len(self._blocks)
        self.width = int(visual.class_embedding.shape[0])

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed patches behind a class token: (B, 1 + grid * grid, width)."""
        visual = self._visual
        device = visual.class_embedding.device
        images = normalised(pixels.to(device), self.image_size, self._mean, self._std)
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        first = visual.class_embedding.view(1, 1, -1).expand(len(patches), -1, -1)
        return visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)

    def block(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens by one block."""
        return self._blocks(index, tokens)

    def value_attention(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens by one block's attention among values."""
        return self._blocks.among_values(index, tokens)

    def project(self, tokens: torch.Tensor, *, normalise: bool = True) -> torch.Tensor:
        """Project tokens to the shared space (..., dim)."""
        return (self._visual.ln_post(tokens) if normalise else tokens) @ self._visual.proj


class NetworkTower:
    """Image tower of a timm network: maps by timm's names of its stages ("stages.0")."""

    def __init__(
        self, visual: nn.Module, mean: Sequence[float], std: Sequence[float], side: int | None
    ) -> None:
        self._visual = visual
        self._mean, self._std, self._side = mean, std, side
        self._known = [entry["module"] for entry in visual.trunk.feature_info]
        self.layers = tuple(self._known[:-1])

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        for layer in layers:
            if layer not in self._known:
                raise BadParameter(
                    f"the encoder has no layer '{layer}': expected some of {', '.join(self._known)}"
                )
        depths = sorted({self._known.index(layer) for layer in layers})
        device = next(self._visual.parameters()).device
        images = normalised(pixels.to(device), self._side, self._mean, self._std)
        outputs = self._visual.forward_intermediates(images, indices=depths)
        by_depth = dict(zip(depths, outputs["image_intermediates"], strict=True))
        maps = {layer: by_depth[self._known.index(layer)] for layer in layers}
        return {**maps, "pooled": outputs["image_features"]}


class Text:
    """Causal text tower of open_clip, read at the end of the text."""

    def __init__(self, model: nn.Module, tokenizer: Any, encoder: str) -> None:
        tower = getattr(model, "text", model)
        pooled_at = getattr(model, "text_pool_type", getattr(tower, "pool_type", "argmax"))
        usable = hasattr(tower, "token_embedding") and getattr(tower, "cls_emb", None) is None
        if not usable or tower.attn_mask is None or pooled_at not in ("argmax", "eos"):
            raise BadParameter(
                f"the text tower of '{encoder}' is not a causal transformer read at the end of the text: "
                "expected a CLIP model of OpenAI or LAION"
            )
        self._tower, self._tokenizer, self._name = tower, tokenizer, encoder
        self._end = None if pooled_at == "argmax" else int(getattr(model, "text_eos_id", 0) or tower.eos_id)
        self._blocks = Blocks(tower.transformer.resblocks)
        self.width = int(tower.token_embedding.weight.shape[1])
        self.context = int(tower.positional_embedding.shape[0])
        self.depth = len(self._blocks)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; raises BadParameter for a text of more tokens than the context holds."""
        # One token more than fits, since the tokenizer truncates silently.
        ids = self._tokenizer(list(texts), context_length=self.context + 1)
        ends = ids.argmax(dim=-1) if self._end is None else (ids == self._end).int().argmax(dim=-1)
        if int(ends.max()) >= self.context:
            text = texts[int(ends.argmax())]
            raise BadParameter(
                f"the text '{text}' is too long for '{self._name}': expected at most {self.context} tokens"
            )
        length = int(ends.max()) + 1
        device = self._tower.positional_embedding.device
        valid = torch.arange(length) <= ends[:, None]
        return Tokens(ids[:, :length].to(device), valid.to(device), ends.to(device))

    @torch.no_grad()
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up token embeddings (B, N, width)."""
        return self._tower.token_embedding(ids)

    def encode(
        self, embeddings: torch.Tensor, tokens: Tokens, overwrite: Mapping[int, torch.Tensor] = NOTHING
    ) -> torch.Tensor:
        """Encode token embeddings as text embeddings (B, dim), read at each text's end token."""
        tower = self._tower
        length = embeddings.shape[1]
        # Causal attention hides tokens after the end, so padding would not change the embeddings.
        mask = tower.attn_mask[:length, :length]
        hidden = embeddings + tower.positional_embedding[:length]
        for index in range(len(self._blocks)):
            if index in overwrite:
                deep = overwrite[index]
                repeated = deep.expand(len(hidden), -1, -1)
                hidden = torch.cat([hidden[:, :1], repeated, hidden[:, 1 + len(deep) :]], dim=1)
            hidden = self._blocks(index, hidden, mask)
        ends = tower.ln_final(hidden)[torch.arange(len(hidden), device=hidden.device), tokens.read]
        projection = tower.text_projection
        if projection is None:
            return ends
        return projection(ends) if isinstance(projection, nn.Module) else ends @ projection

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenize(texts)
        return self.encode(self.embed(tokens.ids), tokens)


@torch.no_grad()
def stretch_positions(visual: nn.Module, side: int, encoder: str) -> None:
    """Interpolate position embeddings bilinearly, in place, to images of `side` pixels (AnomalyCLIP's code).

    Raises BadParameter for a tower without learned position embeddings.
    """
    if not hasattr(visual, "grid_size") or not hasattr(visual, "positional_embedding"):
        raise BadParameter(f"'{encoder}' has no positions to interpolate: expected a vision transformer")
    grid = tuple(side // patch for patch in visual.patch_size)
    first, patches = visual.positional_embedding[:1], visual.positional_embedding[1:]
    maps = patches.T.reshape(1, -1, *visual.grid_size)
    stretched = functional.interpolate(maps, size=grid, mode="bilinear").flatten(2)[0].T
    visual.positional_embedding = nn.Parameter(torch.cat([first, stretched]))
    visual.image_size, visual.grid_size = (side, side), grid


def image_tower(
    visual: nn.Module, mean: Sequence[float], std: Sequence[float], side: int | None, encoder: str
) -> tuple[TransformerTower | None, ImageTower]:
    """Wrap an image tower: its parts (None unless open_clip's own transformer), and its feature maps.

    Raises BadParameter for an unsupported architecture.
    """
    if hasattr(visual, "trunk"):
        return None, NetworkTower(visual, mean, std, side)
    if not hasattr(visual, "conv1") or not hasattr(visual, "transformer") or visual.attn_pool is not None:
        raise BadParameter(
            f"the image tower of '{encoder}' is a {type(visual).__name__}: expected a VisionTransformer "
            "with a class token, or a network of timm such as ConvNeXt"
        )
    tower = TransformerTower(visual, mean, std)
    return tower, TransformerImages(tower)


@torch.inference_mode()
def compare(
    model: nn.Module, images: ImageTower, text: TextTower, *, scale: tuple[Any, Any], encoder: str
) -> None:
    """Compare the towers' embeddings with the model's own; raises MethodsError if they differ.

    Args:
        model: Model of open_clip.
        images: Image tower built from it.
        text: Text tower built from it.
        scale: Mean and standard deviation of the pixels.
        encoder: Name of the encoder, for the error.
    """
    side = int(getattr(model.visual, "image_size", (224,))[0])
    device = next(model.parameters()).device
    pixels = torch.randint(
        0, 256, (1, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    ).to(device)
    texts = ["a", "a photo of an object"]
    tokens = text.tokenize(texts)
    padded = functional.pad(tokens.ids, (0, text.context - tokens.ids.shape[1]))
    pairs = {
        "images": (
            images(pixels, images.layers)["pooled"],
            model.encode_image(normalised(pixels, side, *scale)),
        ),
        "texts": (text(texts), model.encode_text(padded)),
    }
    for what, (ours, theirs) in pairs.items():
        if not torch.allclose(ours, theirs, atol=TOLERANCE * float(theirs.norm(dim=-1).max())):
            raise MethodsError(
                f"the installed open_clip embeds {what} of '{encoder}' otherwise than expected here: "
                "install a version that pyproject.toml names, and report it"
            )
