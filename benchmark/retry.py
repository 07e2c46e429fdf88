"""Selection of failed cells that are tried again."""

from __future__ import annotations

from dataclasses import dataclass

from ltbench.benchmark.errors import UsageError
from ltbench.results.status import Status

FAILURES = frozenset({Status.ERROR, Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.KILLED})


@dataclass(frozen=True)
class Retry:
    """Statuses whose cells run again; a cell that was started and never finished always does."""

    statuses: frozenset[Status] = FAILURES

    def wants(self, status: Status) -> bool:
        return status in self.statuses


def parse_retry(text: str) -> Retry:
    """Parse "failed" (all failures), "none", or a list of failures: "timeout,oom"."""
    if text == "failed":
        return Retry()
    if text == "none":
        return Retry(frozenset())
    known = {str(status): status for status in sorted(FAILURES)}
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in wanted if part not in known]
    if unknown or not wanted:
        raise UsageError(
            f"retry is '{text}': expected 'failed', 'none', or some of {', '.join(sorted(known))}"
        )
    return Retry(frozenset(known[part] for part in wanted))
