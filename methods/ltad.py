"""LTAD: reconstruction and a text-aligned classifier, trained on real and on synthesised features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.errors import MethodsError
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.tokens import TokenReader
from ltbench.methods.language import encoder as encoders
from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.ltad_parts.card import CARD
from ltbench.methods.ltad_parts.detection import Detection, Projection, SemanticHead, inverse_probability
from ltbench.methods.ltad_parts.equations import Pooling
from ltbench.methods.ltad_parts.names import FreeVectors, Init, PseudoNames, starting_names
from ltbench.methods.ltad_parts.phases import Names, Stepping, TrainingSet, phase_one, phase_two
from ltbench.methods.ltad_parts.scoring import Codes, Scorer
from ltbench.methods.ltad_parts.synthesis import Synthesis
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.splits.images import ImageSet


@dataclass
class LTAD:
    """S = S_rec + lambda S_sem per patch; an image's score is the maximum of the pooled map."""

    card: ClassVar[Card] = CARD
    needs: ClassVar[frozenset[Need]] = frozenset({"class_ids_fit", "class_ids_score"})
    version: ClassVar[int] = 3

    backbone: str = DEFAULT_BACKBONE
    """Frozen image features; the paper's: align:kakaobrain/align-base."""
    text_encoder: str = "toy-vl"
    """Frozen text encoder T; the paper's: align:kakaobrain/align-base."""
    layers: tuple[str, ...] = ()
    """Layers f_1 to f_L-1 (paper: 3, 10, 17, 37, read as numbers of blocks from 0)."""
    grid: int = 14
    """Side of the grid of tokens."""
    standardise: bool = True
    """Channels with mean 0 over the training set, layers of equal weight, z alike (paper: false)."""
    class_at_test: Literal["oracle", "inferred"] = "oracle"
    """Source of a test image's class: the data set, or inference from the image."""
    class_inference: Literal["centroid", "text"] = "centroid"
    """Inference by the nearest class mean of z, or by the nearest T(s_c) where the spaces are one."""
    names: Literal["learned", "fixed"] = "learned"
    """Whether phase 1 changes s_c."""
    names_init: Init = "word"
    """First s_c: a word, the class' own name (then it must be given), or noise."""
    names_word: str = "object"
    """Word that `names_init` = "word" repeats, and that holds the places of s_c in prompts."""
    name_length: int = 2
    """Learned vectors per pseudo name s_c."""
    assignment: Literal["own", "shuffled"] = "own"
    """Pseudo name s_c that scores a class: its own, or another class'."""
    text: Literal["encoder", "none"] = "encoder"
    """Texts make the classifier; or "none": free vectors per class, for it and for t_c of phase 1."""
    normal_prompts: tuple[str, ...] = ("a",)
    """Normal prompt v^n; of several the mean text counts."""
    abnormal_prompts: tuple[str, ...] = ("a broken",)
    """Abnormal prompt v^a; of several the mean text counts."""
    normalise_text: bool = False
    """Texts at unit length."""
    temperature: float = 1.0
    """Temperature tau of (3)."""
    augmentation: Literal["vae", "autoencoder", "none"] = "vae"
    """Maker of synthetic features."""
    kl_weight: float = 1e-3
    """Weight of the divergence in (6), per number of a code."""
    decoder_width: int = 64
    """Channels inside the decoder (suites of the paper: 512)."""
    real_probability: float = 0.5
    """Share p_c of real features in phase 2, for every class."""
    sampling: Literal["fixed", "inverse"] = "fixed"
    """Share p_c alike for all classes, or lower the rarer the class."""
    jitter: float = 20.0
    """Scale of the noise that makes pseudo-anomalies."""
    projection: Projection = "layerwise"
    """Projection Phi per layer, or one for all channels."""
    pooling: Pooling = "max"
    """Pooling of the layers' projections (2)."""
    semantic_terms: Literal["both", "abnormal"] = "both"
    """Terms of (8)."""
    width: int = 64
    """Channels of the reconstruction transformer (UniAD: 256)."""
    heads: int = 4
    """Heads of every attention (UniAD: 8)."""
    hidden: int = 256
    """Width inside the feed-forward parts (UniAD: 1024)."""
    depth: int = 1
    """Encoder layers, and as many decoder layers (UniAD: 4)."""
    neighbours: int = 7
    """Side of the square around a token that its attention cannot see."""
    dropout: float = 0.0
    """Dropout in the transformer (UniAD: 0.1)."""
    query_scale: float = 0.02
    """Deviation of the learned queries at first (UniAD: 1): small ones learn in fewer steps."""
    phase_1_iterations: int = 400
    """Steps of phase 1, unless epochs are given."""
    phase_1_epochs: float | None = None
    """Passes over the training images in phase 1 (paper: 100)."""
    iterations: int = 1600
    """Steps of phase 2, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images in phase 2 (paper: 500)."""
    batch_size: int = 8
    """Images per step of both phases; 8 is the paper's (appendix A.2)."""
    learning_rate: float = 2e-3
    """AdamW learning rate of phase 2 (paper: 1e-4)."""
    phase_1_learning_rate: float = 1e-3
    """AdamW learning rate of phase 1 (paper: 1e-4); much larger ones let the variances of codes explode."""
    weight_decay: float = 1e-4
    """AdamW weight decay."""
    clip: float | None = 0.1
    """Largest norm of all gradients in phase 2."""
    late_drop: bool = True
    """A tenth of the learning rate for the last fifth of each phase."""
    max_minutes: float | None = None
    """Limit on the time of each phase; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""
    score_parts: Literal["both", "reconstruction", "semantic"] = "both"
    """Parts S_rec and S_sem that make the score; a part left out is not trained."""
    semantic_weight: float | None = None
    """Weight lambda of (5) (paper: 500 MVTec, 400 VisA, 300 DAGM); none = the range of S_rec in training."""
    pool: int = 16
    """Side of the mean filter, in pixels of the map, whose maximum is the image score."""

    def __post_init__(self) -> None:
        needs: set[Need] = {"class_ids_fit"}
        if self.class_at_test == "oracle":
            needs.add("class_ids_score")
        if self.names_init == "class_name":
            needs.add("class_names")
        self.needs = frozenset(needs)  # type: ignore[misc]  what this configuration needs

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        if train.class_ids is None:
            raise MethodsError("LTAD needs the class of every training image")
        reader = TokenReader(
            self.backbone, context, layers=self.layers, grid=self.grid, standardise=self.standardise
        )
        bank = reader.fit(train, title="embed training images")
        ids = torch.from_numpy(train.class_ids).to(context.device)
        codes = Codes.learn(bank.pooled, ids, standardise=self.standardise)
        identity = identity_of(catalog.config(self), train)
        training = TrainingSet(bank, codes.standardised(bank.pooled), ids, reader.widths, identity)
        encoder = encoders.load(self.text_encoder, context.device, context.weights_root)
        with seeded(context):
            names = self._names(encoder, int(ids.max()) + 1, train.class_names).to(context.device)
            synthesis = self._phase_one(names, encoder.dim, training, context)
            detection = self._detection(training, encoder.dim, context.device)
            self._phase_two(detection, synthesis, names, training, context)
            self._scorer = Scorer(
                reader=reader,
                codes=codes,
                detection=detection,
                names=names,
                temperature=self.temperature,
                grid=self.grid,
                pool=self.pool,
            )
            self._scorer.settle(training, self.semantic_weight, self.jitter, context)
        if self.assignment == "shuffled":
            self._scorer.shuffle(context.rng)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        ids = test.class_ids if self.class_at_test == "oracle" else None
        return self._scorer.predict(test, context, ids=ids, by_text=self.class_inference == "text")

    def _names(self, text: encoders.Encoder, classes: int, class_names: tuple[str, ...] | None) -> Names:
        if self.text == "none":
            return FreeVectors(classes, text.dim)
        if class_names is not None:
            classes = len(class_names)
        starts = starting_names(
            text.text,
            classes,
            init=self.names_init,
            word=self.names_word,
            length=self.name_length,
            class_names=class_names,
        )
        names = PseudoNames(
            text.text,
            starts,
            self.names_word,
            normal=self.normal_prompts,
            abnormal=self.abnormal_prompts,
            normalise=self.normalise_text,
        )
        names.vectors.requires_grad_(self.names == "learned")
        return names

    def _phase_one(self, names: Names, dim: int, training: TrainingSet, context: Context) -> Synthesis | None:
        if self.augmentation == "none":
            return None
        synthesis = Synthesis(
            training.codes.shape[1],
            dim,
            training.channels,
            grid=self.grid,
            width=self.decoder_width,
            variational=self.augmentation == "vae",
        ).to(context.device)
        stepping = self._stepping(
            self.phase_1_iterations, self.phase_1_epochs, None, self.phase_1_learning_rate
        )
        phase_one(synthesis, names, training, stepping=stepping, context=context, kl_weight=self.kl_weight)
        return synthesis

    def _phase_two(
        self,
        detection: Detection,
        synthesis: Synthesis | None,
        names: Names,
        training: TrainingSet,
        context: Context,
    ) -> None:
        classes = int(training.ids.max()) + 1
        share = torch.full((classes,), self.real_probability, device=context.device)
        if self.sampling == "inverse":
            share = inverse_probability(training.ids, classes)
        phase_two(
            detection,
            synthesis,
            names,
            training,
            stepping=self._stepping(self.iterations, self.epochs, self.clip, self.learning_rate),
            context=context,
            real_probability=share,
            jitter=self.jitter,
            temperature=self.temperature,
            only_abnormal=self.semantic_terms == "abnormal",
        )

    def _detection(self, training: TrainingSet, dim: int, device: str) -> Detection:
        """New networks, drawn in one order whatever is left out, so that an ablation's rows start alike."""
        reconstruction = ReconstructionTransformer(
            sum(training.channels),
            self.grid,
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            layers=self.depth,
            neighbours=self.neighbours,
            dropout=self.dropout,
            query_scale=self.query_scale,
        ).to(device)
        semantic = SemanticHead(training.channels, dim, self.projection, self.pooling).to(device)
        return Detection(
            None if self.score_parts == "semantic" else reconstruction,
            None if self.score_parts == "reconstruction" else semantic,
        )

    def _stepping(
        self, iterations: int, epochs: float | None, clip: float | None, learning_rate: float
    ) -> Stepping:
        return Stepping(
            iterations=iterations,
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=learning_rate,
            weight_decay=self.weight_decay,
            clip=clip,
            late_drop=self.late_drop,
            max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
            mixed_precision=self.mixed_precision,
        )
