"""Figures as SVG text: one file, one function each; they take plain facts and know no files.

`class_sizes`            class_sizes                    the long tail and its contamination
`score_by_size`          score_by_size                  score against training images, every class a point
`score_by_parameter`     score_by_parameter             score against imbalance, shots or noise
`tail_head_gap`          tail_head_gap                  rare and frequent classes as a dumbbell
`rank_changes`           rank_changes                   the order of methods on two splits
`cost`                   accuracy_by_cost               accuracy against time or memory
`heat_map`               heat_map                       every class by every method
`score_distributions`    score_distributions            good and defective images
`roc`, `pro`             roc_curves, pro_curves         rates, with their points from scores and maps
`critical_difference`    critical_difference_diagram    average ranks and what does not differ
`standings`              standings_figure               means with intervals, ranks with intervals

The same text serves inside a page (it takes the page's colours) and as a file of its own (it has its own).
Fractions go in, percent is shown. `order` lists all methods of a board, so that a method looks the same in
all its figures.
"""
