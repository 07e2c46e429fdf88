"""Checks that every built-in or external method must pass, on a dozen small generated images."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ltbench.benchmark.declared import card_of, needs_of
from ltbench.methods import catalog
from ltbench.methods.base import AuxiliarySet, Context, Method, Prediction, View
from ltbench.methods.errors import NotStorable
from ltbench.methods.state.fitted import State, restore, state_of
from ltbench.splits.images import ImageSet, LabelledImage, Pixels

SIDE = 64
TRAIN, TEST = 8, 4


@dataclasses.dataclass(frozen=True)
class Check:
    """One rule and whether it holds."""

    what: str
    ok: bool
    detail: str = ""


class GeneratedPixels:
    """Stripes and noise that depend on the path alone."""

    def pixels(self, image: LabelledImage) -> Pixels:
        draws = np.random.default_rng(int(image.key, 16))
        stripes = 40 * np.sin(np.arange(SIDE) / 3.0)[None, :, None]
        noise = draws.normal(0, 8, (SIDE, SIDE, 3))
        return np.clip(128 + stripes + noise, 0, 255).astype(np.uint8)

    def content_digest(self, image: LabelledImage) -> str:
        return hashlib.sha256(image.path.encode()).hexdigest()


def small_images(count: int, part: str, needs: frozenset[str] = frozenset()) -> ImageSet:
    """Images of two categories; class ids and names as declared."""
    images = [
        LabelledImage(f"{'ab'[number % 2]}/{part}/good/{number:03d}.png", "ab"[number % 2], "train")
        for number in range(count)
    ]
    ids = np.array(["ab".index(image.category) for image in images], dtype=np.int64)
    wants_ids = {"class_ids_fit", "class_ids_score"} & needs
    return ImageSet(
        images,
        GeneratedPixels(),
        class_ids=ids if wants_ids else None,
        class_names=("bolt", "nut") if "class_names" in needs else None,
    )


def small_context(seed: int = 0, needs: frozenset[str] = frozenset()) -> Context:
    return Context(
        rng=np.random.default_rng(seed),
        view=View(SIDE, SIDE),
        auxiliary=small_auxiliary() if "auxiliary_masks" in needs else None,
    )


def small_auxiliary() -> AuxiliarySet:
    """Images of another data set; every other one counts as defective in its upper half."""
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[: SIDE // 2] = True
    images = small_images(TEST, "other")
    labels = np.arange(TEST) % 2 == 1
    return AuxiliarySet("generated", "0" * 64, images, labels, mask=lambda _: mask)


def check_method(name: str, **fields: Any) -> list[Check]:
    """Run all checks on the method `name`; a check that raises has failed."""
    checks: list[Check] = []

    def add(what: str, rule: Callable[[], object]) -> None:
        try:
            detail = rule()
        except NotStorable:
            raise
        except Exception as error:  # noqa: BLE001  a method may raise anything, and that is the finding
            checks.append(Check(what, False, f"{type(error).__name__}: {error}"))
        else:
            checks.append(Check(what, detail in (True, None), "" if detail in (True, None) else str(detail)))

    add("its card names title, family and summary", lambda: _card(catalog.create(name, **fields)))
    add("its fields survive recording", lambda: _round_trip(name, fields))
    add("one finite score per image", lambda: _shapes(_predict(name, fields)))
    add("same seed, same scores", lambda: _equal(_predict(name, fields), _predict(name, fields)))
    add("scoring twice gives the same answer", lambda: _twice(name, fields))
    try:
        add("what it has learned can be stored, and scores the same", lambda: _restored(name, fields))
    except NotStorable as error:
        # It can be measured all the same.
        checks.append(Check("what it has learned can be stored", True, f"no: {error}"))
    return checks


def _fit(name: str, fields: dict[str, Any]) -> tuple[Method, Context]:
    method = catalog.create(name, **fields)
    needs = needs_of(method)
    context = small_context(needs=needs)
    method.fit(small_images(TRAIN, "train", needs), context)
    return method, context


def _predict(name: str, fields: dict[str, Any]) -> Prediction:
    method, context = _fit(name, fields)
    return method.score(small_images(TEST, "test", needs_of(method)), context)


def _twice(name: str, fields: dict[str, Any]) -> object:
    method, context = _fit(name, fields)
    test = small_images(TEST, "test", needs_of(method))
    return _equal(method.score(test, context), method.score(test, context))


def _restored(name: str, fields: dict[str, Any]) -> object:
    method, context = _fit(name, fields)
    state = state_of(method)
    again = catalog.create(name, **fields)
    restore(again, State(json.loads(json.dumps(state.tree)), state.tensors), small_context())
    test = small_images(TEST, "test", needs_of(method))
    return _equal(method.score(test, context), again.score(test, small_context()))


def _card(method: Method) -> object:
    card = card_of(method)
    empty = [field for field in ("title", "family", "summary") if not getattr(card, field)]
    return f"empty: {', '.join(empty)}" if empty else True


def _round_trip(name: str, fields: dict[str, Any]) -> object:
    recorded = catalog.config(catalog.create(name, **fields))
    again = catalog.config(catalog.create(name, **recorded))
    return recorded == again or f"{recorded} became {again}"


def _shapes(prediction: Prediction) -> object:
    if np.shape(prediction.scores) != (TEST,) or not np.isfinite(prediction.scores).all():
        return f"scores {np.shape(prediction.scores)}, finite: {np.isfinite(prediction.scores).all()}"
    grids = prediction.grids
    if grids is not None and (grids.ndim != 3 or len(grids) != TEST or not np.isfinite(grids).all()):
        return f"grids {np.shape(grids)}, finite: {np.isfinite(grids).all()}"
    return True


def _equal(left: Prediction, right: Prediction) -> object:
    if not np.array_equal(left.scores, right.scores):
        return f"scores differ by up to {np.abs(left.scores - right.scores).max():g}"
    return True
