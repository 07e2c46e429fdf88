"""Facts about the measuring machine: processor, memory, versions, threads."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from ltbench.benchmark.device import accelerator

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchmetrics",
    "anomalib",
    "ADEval",
    "faiss-cpu",
    "opencv-python-headless",
)


def machine() -> dict[str, str]:
    """Facts about this machine and process that move a time."""
    facts = {"python": platform.python_version(), "system": platform.platform(), "cores": str(os.cpu_count())}
    facts["load"] = f"{os.getloadavg()[0]:.1f}"
    for path, name, label in (
        ("/proc/cpuinfo", "model name", "processor"),
        ("/proc/meminfo", "MemTotal", "memory"),
    ):
        for line in Path(path).read_text().splitlines() if Path(path).exists() else ():
            if line.startswith(name):
                facts.setdefault(label, line.partition(":")[2].strip())
    facts["accelerator"] = _accelerator()
    facts["threads"] = os.environ.get("OMP_NUM_THREADS", "")
    facts["numpy switches"] = os.environ.get("NPY_DISABLE_CPU_FEATURES", "")
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _accelerator() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return ""
    return (accelerator("cuda") or "") if torch.cuda.is_available() else ""
