"""Whether metrics can be computed while a method scores: what the interpreter's lock leaves of two threads.

The sort, the searches and the sums of the pixel pass run without the lock, and so do matrix products: on two
free cores the shorter of the two is hidden behind the longer one.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable

from perf.comparison import Row
from perf.metrics import Maps, category, ours

NAME = "metrics beside scoring"


def measured(rounds: int = 5, images: int = 120, size: int = 256) -> list[Row]:
    """Wall seconds of the exact pass and of a scoring loop as long, in turn and at once."""
    given = category(images, size)
    ours(given)
    alone = _wall(lambda: ours(given))
    score = _scoring(alone)
    times: dict[str, list[float]] = {"metrics": [], "scoring": [], "in turn": [], "at once": []}
    for _ in range(rounds):
        times["metrics"].append(_wall(lambda: ours(given)))
        times["scoring"].append(_wall(score))
        times["in turn"].append(_wall(lambda: (ours(given), score())))
        times["at once"].append(_wall(lambda: _at_once(given, score)))
    middle = {name: statistics.median(values) for name, values in times.items()}
    hidden = (middle["in turn"] - middle["at once"]) / min(middle["metrics"], middle["scoring"])
    text = f"{images} maps of {size}² judged, matrix products as long; wall time on {os.cpu_count()} cores"
    return [
        Row(
            NAME,
            text,
            "metrics in a second thread",
            ours=True,
            seconds=middle["at once"],
            rounds=rounds,
            ratio=1.0,
            verdict=f"{100 * min(max(hidden, 0.0), 1.0):.0f} % of the shorter one is hidden",
        ),
        Row(
            NAME,
            text,
            "one after the other",
            ours=False,
            seconds=middle["in turn"],
            rounds=rounds,
            ratio=middle["in turn"] / middle["at once"],
        ),
    ]


def _scoring(seconds: float) -> Callable[[], object]:
    """Matrix products with some Python between them, as a scoring loop has, for about `seconds`."""
    import torch

    torch.set_num_threads(1)
    left, right = torch.ones(256, 512), torch.ones(512, 512)
    once = _wall(lambda: torch.mm(left, right))
    once = min(once, *(_wall(lambda: torch.mm(left, right)) for _ in range(20)))
    steps = max(int(seconds / once), 1)

    def run() -> None:
        for _ in range(steps):
            torch.mm(left, right)

    return run


def _at_once(given: Maps, score: Callable[[], object]) -> None:
    beside = threading.Thread(target=ours, args=(given,))
    beside.start()
    score()
    beside.join()


def _wall(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
