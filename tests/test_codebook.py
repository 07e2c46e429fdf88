"""Codebooks per class: who moves, who stays, and what passes through."""

from __future__ import annotations

import pytest
import torch

from ltbench.methods.layers.codebook import ClassCodebooks


@pytest.fixture
def books() -> ClassCodebooks:
    torch.manual_seed(0)
    return ClassCodebooks(classes=3, codes=7, width=4)


def tokens(batch: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, 5, 4, generator=torch.Generator().manual_seed(seed))


def test_a_token_becomes_the_nearest_code_of_its_class(books: ClassCodebooks) -> None:
    ids = torch.tensor([2, 0])
    found, commitment = books.eval()(tokens(), ids)
    for i, class_id in enumerate(ids.tolist()):
        distances = torch.cdist(tokens()[i], books.codes[class_id])
        torch.testing.assert_close(found[i], books.codes[class_id][distances.argmin(dim=1)])
        assert commitment[i] == pytest.approx((distances.min(dim=1).values ** 2).mean().item() / 4, rel=1e-5)


def test_gradient_passes_straight_through_and_pulls_tokens_to_codes(books: ClassCodebooks) -> None:
    rows = tokens().requires_grad_()
    found, commitment = books.eval()(rows, torch.tensor([1, 1]))
    (through,) = torch.autograd.grad((3 * found).sum(), rows, retain_graph=True)
    assert torch.equal(through, torch.full_like(rows, 3))
    (pull,) = torch.autograd.grad(commitment.sum(), rows)
    torch.testing.assert_close(pull, 2 * (rows - found.detach()) / 20)


def test_classes_that_are_not_in_the_batch_stay_as_they_are(books: ClassCodebooks) -> None:
    before = {name: buffer.clone() for name, buffer in books.named_buffers()}
    books.train()(tokens(), torch.tensor([1, 1]))
    for name, buffer in books.named_buffers():
        assert torch.equal(buffer[[0, 2]], before[name][[0, 2]])
        assert not torch.equal(buffer[1], before[name][1])


def test_scoring_moves_nothing(books: ClassCodebooks) -> None:
    before = books.codes.clone()
    books.eval()(tokens(), torch.tensor([1, 2]))
    assert torch.equal(books.codes, before)


def test_codes_follow_their_tokens_by_a_moving_average(books: ClassCodebooks) -> None:
    rows, start = tokens(1), books.codes[0].clone()
    chosen = books.nearest(rows[0], 0)
    books.train()(rows, torch.tensor([0]))
    counts = 0.01 * torch.bincount(chosen, minlength=7)
    sums = 0.99 * start
    for token, code in zip(rows[0], chosen.tolist(), strict=True):
        sums[code] += 0.01 * token
    total = counts.sum()
    smoothed = (counts + 1e-5) / (total + 7e-5) * total
    torch.testing.assert_close(books.codes[0], sums / smoothed[:, None])


def test_codes_nobody_chose_fly_away_and_come_back(books: ClassCodebooks) -> None:
    """Counts start at 0, as in the authors' code; the sum of an idle code decays by 0.99 per image."""
    rows, start = tokens(1), books.codes[0].clone()
    idle = torch.ones(7, dtype=torch.bool)
    idle[books.nearest(rows[0], 0)] = False
    lengths = []
    for _ in range(1200):
        books.train()(rows, torch.tensor([0]))
        lengths.append(books.codes[0][idle].norm(dim=1) / start[idle].norm(dim=1))
    assert lengths[0].min() > 5e4
    assert lengths[800].min() > 10
    assert lengths[-1].max() < 1


def test_two_images_of_a_class_decay_twice(books: ClassCodebooks) -> None:
    books.train()(tokens(2), torch.tensor([0, 0]))
    books.train()(tokens(1), torch.tensor([1]))
    assert books.counts[0].sum() == pytest.approx((1 - 0.99**2) * 5, rel=1e-6)
    assert books.counts[1].sum() == pytest.approx(0.01 * 5, rel=1e-6)


def trained_far_away(revive_below: float) -> tuple[ClassCodebooks, torch.Tensor]:
    """Books of two classes whose first has seen clusters far from where codes start, and its last batch."""
    torch.manual_seed(1)
    books = ClassCodebooks(classes=2, codes=8, width=4, revive_below=revive_below).train()
    middles = 30 + 10 * torch.randn(8, 4)
    for _ in range(60):
        rows = (middles[torch.randint(8, (2, 40))] + 0.1 * torch.randn(2, 40, 4)).float()
        books(rows, torch.tensor([0, 0]))
    return books, rows


def test_idle_codes_start_anew_at_tokens_if_asked_to() -> None:
    usual, rows = trained_far_away(0.0)
    assert len(usual.nearest(rows.flatten(0, 1), 0).unique()) <= 2
    revived, rows = trained_far_away(0.5)
    assert len(revived.nearest(rows.flatten(0, 1), 0).unique()) >= 6
    torch.manual_seed(1)
    untouched = ClassCodebooks(classes=2, codes=8, width=4)
    assert torch.equal(revived.codes[1], untouched.codes[1])


def test_more_idle_codes_than_tokens_move_as_far_as_tokens_go() -> None:
    books = ClassCodebooks(classes=1, codes=9, width=4, revive_below=2.0).train()
    books.counts.fill_(0.01)
    books.sums.copy_(books.codes * 0.01)
    before, rows = books.codes[0].clone(), 100 + tokens(1)
    books(rows, torch.tensor([0]))
    assert (books.counts[0] == 1.0).sum() == 5
    at_tokens = torch.cdist(books.codes[0], rows[0]).amin(dim=1) == 0
    assert at_tokens.sum() == 5
    assert not torch.equal(books.codes[0], before)


def test_an_even_use_of_many_codes_revives_none() -> None:
    books = ClassCodebooks(classes=1, codes=20, width=4, revive_below=1.0).train()
    books.counts.fill_(5 / 20)
    books(tokens(1), torch.tensor([0]))
    assert books.counts.max() < 1.0


def test_transport_cost_is_zero_on_a_lonely_code_and_finite_on_huge_tokens() -> None:
    books = ClassCodebooks(classes=1, codes=1, width=4)
    row = 3 * books.codes[0][None]
    torch.testing.assert_close(books.transport_cost(row, torch.tensor([0])), torch.zeros(1, 1))
    many = ClassCodebooks(classes=1, codes=5, width=4)
    assert many.transport_cost(torch.full((1, 2, 4), 1e4), torch.tensor([0])).isfinite().all()


def test_transport_plans_are_softmaxes_of_products_over_the_number_of_codes(books: ClassCodebooks) -> None:
    rows, codes = tokens(1)[0], books.codes[2]
    weights = torch.exp(rows @ codes.T / 7)
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], codes[None], dim=2)
    expected = (weights / weights.sum(dim=1, keepdim=True) * (1 - cosines)).sum(dim=1)
    torch.testing.assert_close(books.transport_cost(rows[None], torch.tensor([2]))[0], expected)
