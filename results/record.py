"""A cell's record, `cell.json`, as typed objects: every value is checked where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ltbench.results.cell_record import CellRecord
from ltbench.results.method_record import MethodRecord
from ltbench.results.places import Place
from ltbench.results.reading import checked
from ltbench.results.status import Status


@dataclass(frozen=True)
class Identity:
    """Facts that identify a cell: two cells with equal identities must have equal results."""

    dataset: str
    """Name of the data set."""
    split: str
    """Name of the split, including a limit ("step_k4-limit2")."""
    seed: int
    """Seed of split and method."""
    overlap_policy: str
    """Policy on injected defects: "paper" or "none"."""
    method: str
    """Name of the method."""
    config_digest: str
    """sha256 of method, version, fields, weights, view and overlap policy: equal over splits and seeds."""
    split_digest: str
    """sha256 of the training and test lists."""
    data_digest: str
    """sha256 of the data set's files."""
    view: str
    """Evaluation resolution, such as "resize256-crop224"."""


@dataclass(frozen=True)
class CategoryCounts:
    """Numbers of images of one category."""

    category: str
    """Name of the category."""
    group: str
    """Group of the category in the split: "head", "tail", "high", "low" or ""."""
    n_train_good: int
    """Good training images."""
    n_train_defects: int
    """Defects injected into the training images."""
    n_test_good: int
    """Good test images."""
    n_test_defects: int
    """Defective test images."""

    @property
    def n_train(self) -> int:
        """Training images, injected defects included."""
        return self.n_train_good + self.n_train_defects

    @property
    def n_test(self) -> int:
        """Test images."""
        return self.n_test_good + self.n_test_defects


@dataclass(frozen=True)
class SplitRecord:
    """Split into training and test images."""

    id: str
    """Data set, recipe and seed: "mvtec/pareto/seed1"."""
    dataset: str
    """Name of the data set."""
    recipe: str
    """Name of the split, including a limit."""
    seed: int
    """Seed of the split."""
    parameters: Mapping[str, Any]
    """Recipe and its parameters, such as {"recipe": "step", "tail_images": 4, "noise": 0.2}."""
    digest: str
    """sha256 of the training and test lists."""
    overlap: int
    """Number of injected defects that are also in the test list."""
    evidence: str
    """Origin of the list: "release-exact", "generator-exact", "counts-only", "imported" or "own"."""
    source: str
    """Paper, record or file that the list comes from."""
    notes: tuple[str, ...]
    """Remarks such as shortages and realised ratios, one sentence each."""
    groups: Mapping[str, tuple[str, ...]]
    """Categories of each group, such as "head" and "tail"."""
    categories: tuple[CategoryCounts, ...]
    """Numbers of images of each category."""


@dataclass(frozen=True)
class DatasetRecord:
    """Data set with its licence and origin."""

    name: str
    """Name on the command line."""
    title: str
    """Name as its authors write it."""
    licence: str = ""
    """Licence of the images."""
    citation: str = ""
    """Citation."""
    address: str = ""
    """Address from which the images can be obtained."""
    digest: str = ""
    """sha256 of the data set's files."""
    gallery_allowed: bool = False
    """Whether the licence allows reports to show images."""


@dataclass(frozen=True)
class MetricRecord:
    """Metric that was computed."""

    title: str
    """Title of the table column."""
    recipe: str
    """Exact definition; values of different recipes are never compared."""
    needs: str = ""
    """Part of the prediction that it is computed from: "scores" or "maps"."""
    order: int = 1000
    """Position among the columns of a table, lowest first."""
    shown: bool = True
    """Whether it is computed by default."""
    unit: str = "%"
    """"%" for a fraction in [0, 1], which tables show in percent; else the unit of the value."""
    higher_is_better: bool = True
    """Whether higher values are better."""
    curve: str = ""
    """Stored curve that the metric is the area of: "pro" or ""."""


@dataclass(frozen=True)
class EnvironmentRecord:
    """Machine, packages and commit."""

    host: str
    """Name of the machine."""
    python: str
    """Version of Python."""
    packages: Mapping[str, str]
    """Versions of the packages that can change results."""
    system: str = ""
    """Operating system."""
    cpu: str = ""
    """Processor."""
    cores: int | None = None
    """Number of processor cores."""
    memory_gib: float | None = None
    """Memory of the machine in GiB."""
    accelerator: str | None = None
    """GPU and its library; null if the CPU computed."""
    git_commit: str = ""
    """Commit of ltbench; "" for an installed package."""
    git_dirty: bool | None = None
    """Whether the checkout had uncommitted changes; null for an installed package."""


@dataclass(frozen=True)
class TimingRecord:
    """Time and memory that the cell took; null for steps that it did not reach."""

    device: str | None = None
    """Device that computed: "cpu", "cuda", "cuda:1"."""
    threads: int | None = None
    """Number of threads of torch."""
    started_at: str | None = None
    """Start, ISO 8601, UTC."""
    finished_at: str | None = None
    """End, ISO 8601, UTC."""
    fit_seconds: float | None = None
    """Time of fitting in seconds."""
    score_seconds: float | None = None
    """Time of scoring all test images in seconds."""
    evaluate_seconds: float | None = None
    """Time of computing the metrics in seconds."""
    score_ms_per_image: float | None = None
    """Time of scoring one test image in milliseconds."""
    peak_rss_mb: float | None = None
    """Peak memory of the process in MB."""
    peak_vram_mb: float | None = None
    """Peak memory of the GPU in MB."""


@dataclass(frozen=True)
class PictureRecord:
    """Test image that reports show."""

    key: str
    """Hash of the image's path."""
    category: str
    """Category of the image."""
    defect: str
    """Type of the defect; "" for a good image."""


@dataclass(frozen=True)
class ViewLossRecord:
    """Test images of one category as far as the view leaves them out."""

    category: str
    """Name of the category."""
    area: float
    """Mean share of an image that lies outside of the view."""
    defects: int
    """Defective images with a mask that marks something."""
    hidden_defects: int
    """Number of these images without a marked pixel in the view."""
    regions: int
    """Connected regions of the masks."""
    hidden_regions: int
    """Number of these regions without a pixel in the view: outside of it, or lost by resizing."""
    pixels: float
    """Share of the marked pixels that lies outside of the view."""


@dataclass(frozen=True)
class Record:
    """Record of a finished cell."""

    schema_version: int
    """Version of this layout."""
    status: Status
    """"ok", or how the run failed."""
    cell: CellRecord
    """Requested cell."""
    identity: Identity
    """Facts that identify the cell."""
    method: MethodRecord
    """Method with all its fields."""
    split: SplitRecord
    """Split with its numbers of images."""
    dataset: DatasetRecord
    """Data set with its licence and origin."""
    metrics: Mapping[str, MetricRecord]
    """Metrics by name."""
    environment: EnvironmentRecord
    """Machine, packages and commit."""
    command: str = ""
    """Command line that runs the cell."""
    error: str = ""
    """Reason of a failure; "" for a successful cell."""
    log_tail: str = ""
    """Last lines of a failed cell's output."""
    timing: TimingRecord = field(default_factory=TimingRecord)
    """Time and memory."""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """Numbers that the method reported, such as "memory_bank_mb"."""
    map_post: Mapping[str, Any] | None = None
    """Upsampling and smoothing from patch scores to anomaly maps."""
    label_correction: Mapping[str, Any] | None = None
    """Summary of the ranking of training images (--rank-training); null without one."""
    gallery: tuple[PictureRecord, ...] = ()
    """Test images that reports show."""
    view_loss: tuple[ViewLossRecord, ...] = ()
    """Images and defects that the view leaves out, one entry per category."""
    cache: Mapping[str, int] = field(default_factory=dict)
    """Hits, misses and other counts of the feature cache."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each of the cell's files."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any], path: Place) -> Record:
        """Read a record of the current schema version.

        Args:
            content: the JSON document; names that are not known are ignored.
            path: its file, for the error message.

        Raises:
            ResultsError: a value is missing or of another type.
        """
        record: Record = checked(cls, content, path)
        return record
