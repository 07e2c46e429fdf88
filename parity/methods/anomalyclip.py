"""AnomalyCLIP beside its authors' code: its prompts, both towers, its test and its training as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.anomalyclip import AnomalyCLIP
from ltbench.methods.base import AuxiliarySet
from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.language.learned_prompts import LearnedPrompts
from ltbench.splits.images import ImageSet
from parity import inputs, towers
from parity.case import Arrays, Case
from parity.official import Clone, Repository

REPOSITORY = Repository("AnomalyCLIP", "https://github.com/zqhang/AnomalyCLIP", "45ed4dd", "MIT")
STUBS = ("pkg_resources", "thop", "cv2", "skimage", "tabulate")
SETTING = "backbone='...&positions=bilinear'"
LEARNED, SIDE = 48, 80
"""Image sizes of the CLIP's positions and of the pictures: 3 x 3 and 5 x 5 patches."""
DEPTH = 21
"""Image blocks: the first two are left alone by the 19 with value-to-value attention."""
EPOCHS = 3
DETAILS = {"Prompt_length": 12, "learnabel_text_embedding_depth": 9, "learnabel_text_embedding_length": 4}
"""As train.sh sets them."""


def _clip() -> tuple[Any, Any]:
    return towers.small_clip(LEARNED, width=128, depth=DEPTH, text_depth=10)


def _features(positions: str, layers: tuple[str, ...]) -> towers.Features:
    encoder = towers.encoder_of(_clip()[1], f"&image_size={SIDE}&positions={positions}")
    return towers.features_of(encoder, layers)


def _drawn(prompts: LearnedPrompts) -> LearnedPrompts:
    """Prompts with our numbers instead of drawn ones."""
    with torch.no_grad():
        prompts.words.copy_(_words())
        for block, tokens in prompts.deep.items():
            tokens.copy_(_deep(int(block), len(tokens)))
    return prompts


_words = partial(inputs.tensor, "words", 2, 12, 64, scale=0.02)


def _deep(block: int, count: int) -> torch.Tensor:
    return inputs.tensor(f"deep/{block}", count, 64, scale=0.02)


def _fitted(positions: str = "bilinear", **fields: Any) -> tuple[AnomalyCLIP, LearnedPrompts]:
    """The method and its prompts after training, from our numbers, on four pictures, which are one batch."""
    _, labels, masks = _pictures()
    context, images = towers.context(SIDE), _images()
    context.auxiliary = AuxiliarySet("", "", images, labels, lambda index: masks[index])
    made: list[LearnedPrompts] = []

    def prompts(*arguments: Any, **named: Any) -> LearnedPrompts:
        made.append(_drawn(LearnedPrompts(*arguments, **named)))
        return made[-1]

    method = AnomalyCLIP(**fields)
    with (
        towers.read_by("anomalyclip", partial(_features, positions)),
        mock.patch("ltbench.methods.anomalyclip.LearnedPrompts", prompts),
    ):
        method.fit(images, context)
    return method, made[0]


_untrained = partial(_fitted, iterations=0)


def _images() -> ImageSet:
    return inputs.image_set(_pictures()[0], [0] * 4, ("carpet",))


def _pictures() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Pictures, which of them are defective, and where."""
    labels = np.array([False, True, True, False])
    masks = inputs.images("masks", 4, SIDE)[..., 0] > 140
    return inputs.images("pictures", 4, SIDE), labels, masks & labels[:, None, None]


def _their_clip(clone: Clone) -> Any:
    library = clone.load("AnomalyCLIP_lib.build_model", stubs=STUBS)
    with towers.without_a_gpu():
        return library.build_model("", dict(_clip()[0].state_dict()), DETAILS)


def _their_learner(clone: Clone) -> Any:
    module = clone.load("prompt_ensemble", stubs=STUBS)
    with towers.without_a_gpu():
        return _their_prompts(module.AnomalyCLIP_PromptLearner, [], _their_clip(clone), DETAILS)


@torch.no_grad()
def _texts_of(learner: Any, model: Any) -> npt.NDArray[np.float32]:
    with towers.without_a_gpu():
        texts = model.encode_text_learn(*learner(cls_id=None))
    return nn.functional.normalize(texts, dim=-1).numpy()


def _their_prompts(original: Any, made: list[Any], *arguments: Any) -> Any:
    """Prompt learner of the authors' code with our numbers."""
    learner = original(*arguments)
    with torch.no_grad():
        learner.ctx_pos.copy_(_words()[:1, None])
        learner.ctx_neg.copy_(_words()[1:, None])
        for number, tokens in enumerate(learner.compound_prompts_text):
            tokens.copy_(_deep(number + 1, len(tokens)))
    made.append(learner)
    return learner


@contextmanager
def _their_script(clone: Clone, name: str) -> Iterator[tuple[ModuleType, list[Any]]]:
    """train.py or test.py with our model, prompts and pictures instead of files."""
    module = clone.load(name, stubs=STUBS)
    made: list[Any] = []
    pixels, labels, masks = _pictures()
    seen = towers.as_clip_sees(pixels)

    class Pictures(torch.utils.data.Dataset[Any]):
        obj_list = ("carpet",)

        def __len__(self) -> int:
            return len(seen)

        def __getitem__(self, index: int) -> dict[str, Any]:
            mask = torch.from_numpy(masks[index]).float()[None]
            return {
                "img": seen[index], "img_mask": mask, "cls_name": "carpet", "cls_id": 0,
                "anomaly": int(labels[index]),
            }  # fmt: skip

    learner = partial(_their_prompts, module.AnomalyCLIP_PromptLearner, made)
    fixed = {
        "Dataset": lambda **_: Pictures(),
        "AnomalyCLIP_PromptLearner": learner,
        "get_logger": mock.Mock(),
        "get_transform": lambda _: (None, None),
    }
    load = mock.Mock(return_value=(_their_clip(clone), None))
    with (
        mock.patch.multiple(module, **fixed),
        mock.patch.object(module.AnomalyCLIP_lib, "load", load),
        towers.without_a_gpu(),
    ):
        yield module, made


def _asked(folder: str, **more: Any) -> SimpleNamespace:
    """The numbers of train.sh and test.sh, but for sizes; the last block of their CLIP is the 24th."""
    return SimpleNamespace(
        train_data_path="", data_path="", save_path=folder, dataset="", depth=9, n_ctx=12, t_n_ctx=4,
        feature_map_layer=[0, 1, 2, 3], features_list=[DEPTH], image_size=SIDE, **more,
    )  # fmt: skip


def _our_ids() -> Arrays:
    ids = _untrained()[1]._prompts.tokens.ids
    return {"ids": nn.functional.pad(ids, (0, 77 - ids.shape[1])).numpy()}


def _their_ids(clone: Clone) -> Arrays:
    learner = _their_learner(clone)
    ids = torch.cat([learner.tokenized_prompts_pos, learner.tokenized_prompts_neg]).flatten(0, 1)
    return {"ids": ids.numpy().astype(np.int64)}


def _our_texts() -> Arrays:
    return {"texts": _untrained()[0]._texts.numpy()}


def _their_texts(clone: Clone) -> Arrays:
    return {"texts": _texts_of(_their_learner(clone), _their_clip(clone))}


def _our_positions(positions: str = "bilinear") -> Arrays:
    transformer: Any = _features(positions, ()).encoder.transformer
    return {"positions": transformer._visual.positional_embedding.detach().numpy()}


def _their_positions(clone: Clone) -> Arrays:
    model = _their_clip(clone)
    _encoded(model)
    return {"positions": model.visual.positional_embedding.detach().numpy()}


@torch.no_grad()
def _encoded(model: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    with towers.without_a_gpu():
        model.visual.DAPM_replace(DPAM_layer=20)
        whole, patches = model.encode_image(towers.as_clip_sees(_pictures()[0]), [DEPTH], DPAM_layer=20)
    return whole, patches


@torch.no_grad()
def _our_features(positions: str = "bilinear") -> Arrays:
    features = _features(positions, AnomalyCLIP().layers)
    local, first = features.few(_images(), range(4)).maps
    whole = features.encoder.transformer.project(first[:, :, 0, 0], normalise=False)
    return {"whole": whole.numpy(), "patches": local.flatten(2).transpose(1, 2).numpy()}


def _their_features(clone: Clone) -> Arrays:
    whole, patches = _encoded(_their_clip(clone))
    return {"whole": whole.numpy(), "patches": patches[0][:, 1:].numpy()}


def _our_scores(positions: str = "bilinear") -> Arrays:
    method, _ = _untrained(positions)
    found = method.score(_images(), towers.context(SIDE))
    assert found.grids is not None
    return {"score": found.scores, "map": maps_after(found.grids, SIDE, found.post)}


def _their_scores(clone: Clone) -> Arrays:
    seen: dict[str, Any] = {}

    def metrics(results: dict[str, Any], product: str, _name: str) -> float:
        seen.update(results[product])
        return 0.0

    with TemporaryDirectory() as folder, _their_script(clone, "test") as (module, _):
        checkpoint = f"{folder}/epoch_15.pth"
        torch.save({"prompt_learner": _their_learner(clone).state_dict()}, checkpoint)
        # Their deviation of 4 pixels is one of 518 pixels.
        asked = _asked(folder, checkpoint_path=checkpoint, metrics="image-pixel-level", sigma=4 * SIDE / 518)
        with mock.patch.multiple(module, image_level_metrics=metrics, pixel_level_metrics=metrics):
            module.test(asked)
    return {
        "score": np.array([float(score) for score in seen["pr_sp"]], np.float32),
        "map": seen["anomaly_maps"],
    }


def _our_training(positions: str = "bilinear") -> Arrays:
    method, prompts = _fitted(positions, epochs=EPOCHS)
    learned = {"words": prompts.words, "deep": torch.stack(list(prompts.deep.values()))}
    found = {name: values.detach().numpy() for name, values in (learned | {"texts": method._texts}).items()}
    fields = AnomalyCLIP()
    return found | {"length": np.array([fields.epochs, fields.batch_size])}


def _their_training(clone: Clone) -> Arrays:
    with TemporaryDirectory() as folder, _their_script(clone, "train") as (module, made):
        module.train(
            _asked(folder, epoch=EPOCHS, learning_rate=0.001, batch_size=8, print_freq=1, save_freq=EPOCHS)
        )
    (learner,) = made
    script = (clone.root / "train.sh").read_text(encoding="utf-8")
    asked = [re.findall(rf"--{name} (\d+)", script)[0] for name in ("epoch", "batch_size")]
    words = torch.cat([learner.ctx_pos, learner.ctx_neg])[:, 0]
    return {
        "words": words.detach().numpy(),
        "deep": torch.stack(list(learner.compound_prompts_text)).detach().numpy(),
        "texts": _texts_of(learner, _their_clip(clone)),
        "length": np.array([int(number) for number in asked]),
    }


_case = partial(Case, "anomalyclip")
CASES = (
    _case("prompts", REPOSITORY, _our_ids, _their_ids, tolerance=0),
    _case("text features", REPOSITORY, _our_texts, _their_texts),
    _case(
        "positions", REPOSITORY, _our_positions, _their_positions,
        setting=SETTING, default=partial(_our_positions, "bicubic"),
    ),
    _case(
        "features", REPOSITORY, _our_features, _their_features,
        setting=SETTING, default=partial(_our_features, "bicubic"),
    ),
    _case(
        "map and image score", REPOSITORY, _our_scores, _their_scores,
        setting=SETTING, default=partial(_our_scores, "bicubic"),
    ),
    _case(
        "training steps", REPOSITORY, _our_training, _their_training, tolerance=1e-4,
        setting=SETTING, default=partial(_our_training, "bicubic"),
    ),
)  # fmt: skip
