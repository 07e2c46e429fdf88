"""Feature cache chosen by the settings: a local folder, or a remote one behind a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench.results.places import RemotePath

if TYPE_CHECKING:
    from ltbench.benchmark.settings import Settings
    from ltbench.methods.features.cache import FeatureCache


def open_cache(settings: Settings) -> FeatureCache:
    """The cache at `settings.cache_root`, bounded by `settings.cache_gb`."""
    from ltbench.methods.features.cache import FeatureCache
    from ltbench.methods.features.cache_remote import SharedFeatureCache

    root, max_bytes = settings.cache_root, int(settings.cache_gb * 1e9)
    if isinstance(root, RemotePath):
        return SharedFeatureCache(settings.local(root), max_bytes, remote=root)
    return FeatureCache(root, max_bytes)
