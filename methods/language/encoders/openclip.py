"""Models of open_clip: `openclip:NAME@TAG` with a pretrained tag or `openclip:NAME@FILE` with a local file.

Options after `?`: `image_size`, to which position embeddings are interpolated (bicubic with antialiasing as
in open_clip, or `positions=bilinear` as in AnomalyCLIP's code); `sha256` of the file; and for a file
`quick_gelu`, `mean` and `std` if they differ from OpenCLIP's. Loading compares the towers with the model's
own embeddings, so that an incompatible version of open_clip is detected at once.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType

from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features import hub, weights
from ltbench.methods.features.timm_weights import parse
from ltbench.methods.language import checkpoints
from ltbench.methods.language.encoder import Encoder
from ltbench.methods.language.openclip_towers import Text, compare, image_tower, stretch_positions

RECIPE = "openclip/1"
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def load(model: str, *, device: str, weights_root: Path | None) -> Encoder:
    """Load a model of open_clip.

    Raises:
        BadParameter: For an unknown model, tag or option.
        WeightsMissing: If the weights are not on this machine.
        MethodsError: Without open_clip, or if it embeds differently than expected.
    """
    open_clip = imported_open_clip()
    name, _, rest = model.partition("@")
    source, _, query = rest.partition("?")
    options = dict(parse(f"{name}?{query}").options)
    encoder = f"openclip:{model}"
    if open_clip.get_model_config(name) is None:
        raise BadParameter(f"open_clip knows no model '{name}': see open_clip.list_models()")
    facts = open_clip.pretrained.get_pretrained_cfg(name, source)
    file = checkpoint(open_clip, name, source, encoder, weights_root)
    digest = checkpoints.verified_sha256(file, str(options.pop("sha256", "")))
    side = options.pop("image_size", None)
    positions = options.pop("positions", "bicubic")
    if positions not in ("bicubic", "bilinear"):
        raise BadParameter(f"'{encoder}' interpolates positions '{positions}': expected bicubic or bilinear")
    quick = bool(options.pop("quick_gelu", facts.get("quick_gelu", False)))
    mean = options.pop("mean", facts.get("mean", open_clip.OPENAI_DATASET_MEAN))
    std = options.pop("std", facts.get("std", open_clip.OPENAI_DATASET_STD))
    if options:
        raise BadParameter(
            f"'{encoder}' has no option '{min(options)}': expected image_size, positions, sha256, ..."
        )
    forced = side if positions == "bicubic" else None
    with weights.reading(file, encoder):
        built = open_clip.create_model(
            name, pretrained=str(file), force_image_size=forced, force_quick_gelu=quick
        )
    if side is not None and forced is None:
        stretch_positions(built.visual, side, encoder)
    built = built.eval().requires_grad_(False).to(device)
    transformer, images = image_tower(built.visual, mean, std, side, encoder)
    text = Text(built, open_clip.get_tokenizer(name), encoder)
    compare(built, images, text, scale=(mean, std), encoder=encoder)
    facts = [RECIPE, name, digest, side, quick, list(mean), list(std)]
    identity = json.dumps(facts if positions == "bicubic" else [*facts, positions])
    return Encoder(
        name=encoder,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        dim=int(text(["a"]).shape[1]),
        logit_scale=float(built.logit_scale.exp()),
        images=images,
        text=text,
        transformer=transformer,
    )


def imported_open_clip() -> ModuleType:
    """Import open_clip, or raise MethodsError with the reason why it cannot be imported."""
    try:
        import open_clip
    except ImportError as error:
        raise MethodsError(
            f"the encoders 'openclip:...' need the package open_clip_torch, which cannot be imported "
            f"({error}): pip install 'ltbench[methods]', or choose the encoder 'toy-vl'"
        ) from error
    return open_clip


def checkpoint(
    open_clip: ModuleType, name: str, source: str, encoder: str, weights_root: Path | None
) -> Path:
    """Find the weights of a model by pretrained tag or file name.

    Raises:
        BadParameter: If `source` is neither a tag of the model nor a weights file.
        WeightsMissing: If the weights are not on this machine.
    """
    facts = open_clip.pretrained.get_pretrained_cfg(name, source) if source else {}
    if not facts:
        if Path(source).suffix in _SUFFIXES:
            return weights.local_file(source, weights_root)
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none: give a file"
        raise BadParameter(f"'{encoder}' names no weights: expected 'openclip:{name}@TAG' with one of {tags}")
    url, repository = facts.get("url", ""), facts.get("hf_hub", "").rstrip("/")
    if repository.count("/") > 1:
        repository, _, file = repository.rpartition("/")
        files = [file]
    else:
        files = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    own = f"{name}@{source}"
    mirrored = [f"{own}{suffix}" for suffix in (".safetensors", ".pt", ".bin")]
    mirrored += [f"{repository}/{file}" for file in files] + ([url.rsplit("/", 1)[-1]] if url else [])
    checkpoint_file = checkpoints.in_mirror(mirrored, weights_root)
    checkpoint_file = checkpoint_file or (hub.file_of(repository, files) if repository else None)
    if checkpoint_file is None:
        address = f"https://huggingface.co/{repository}" if repository else url
        raise checkpoints.missing(encoder, address, f"{own}.safetensors")
    return checkpoint_file
