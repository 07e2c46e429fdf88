"""`ltbench cite`: BibTeX of the methods, data sets and weights used in a results folder."""

from __future__ import annotations

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_text


def cite(results: options.ResultsOption = None, as_json: options.JsonOption = False) -> None:
    """Print BibTeX of every method, network and data set in the results, and of the splits' papers."""
    from ltbench.methods.features.published_weights import published
    from ltbench.results.store import Store

    entries: dict[str, str] = {}
    for cell in Store(options.settings(results=results).results).cells():
        card, dataset, auxiliary = cell.record.method.card, cell.record.dataset, cell.record.method.auxiliary
        weights = published(cell.record.method.backbone)
        for name, text in (
            (card.title, card.bibtex),
            (cell.record.method.backbone, weights.bibtex if weights else ""),
            (dataset.title, dataset.citation),
            (auxiliary.title, auxiliary.citation) if auxiliary else ("", ""),
        ):
            if text:
                entries[name] = text
    if as_json:
        print_json("cite", {"entries": entries})
        return
    print_text("\n\n".join(entries[name].strip() for name in sorted(entries)))
