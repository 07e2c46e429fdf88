"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# The time of an example says nothing on a shared machine.
settings.register_profile("ltbench", deadline=None)
settings.load_profile("ltbench")
