"""Checks of TailedCore: the mean over all classes against the means of tail and head."""

from __future__ import annotations

from ltbench.results.published.facts import CLASSES, PARETO_TAILS, STEP_TAILS
from ltbench.results.published.finding import (
    METRIC_TITLES,
    Check,
    Finding,
    Row,
    RowKey,
    Verdict,
    differs,
    names,
    rows,
)
from ltbench.results.published.printed import PublishedCell, table

PAPER = "tailedcore"
ZERO_SHOT = ("WinCLIP", "AnomalyCLIP")


def check_tailedcore() -> list[Check]:
    """Run all checks of TailedCore."""
    return [_steps(), _pareto(), _zero_shot()]


def _grouped() -> dict[RowKey, Row]:
    """Rows with tail, head and all, i.e. of tables; figures only have the mean over all classes."""
    return {key: row for key, row in rows(PAPER).items() if "tail" in row}


def _three(row: Row) -> tuple[float, float, float]:
    """Values of tail, head and all."""
    return row["tail"].value, row["head"].value, row["all"].value


def _printed(row: Row) -> str:
    """Printed numbers of the tail, head and all classes."""
    return " / ".join(row[name].printed for name in ("tail", "head", "all"))


def _steps() -> Check:
    """Check in the step splits that the mean over all classes is the weighted one of tail and head."""
    findings = []
    compared = 0
    for key, row in _grouped().items():
        if not key.split.startswith("step"):
            continue
        compared += 1
        tail, head, everything = _three(row)
        dataset = row["all"].dataset
        count, tails = CLASSES[dataset], STEP_TAILS[dataset]
        weighted = (tails * tail + (count - tails) * head) / count
        if differs(everything, weighted, table(PAPER, key.table).unit):
            findings.append(_wrong_step(key, row, weighted))
    return Check(
        PAPER,
        "In the step splits, all = weighted mean of C_t and C_h",
        "9/15 C_t + 6/15 C_h on MVTec AD, 7/12 C_t + 5/12 C_h on VisA (the same weights in every seed), "
        "within one unit of the last digit",
        compared,
        tuple(findings),
    )


def _wrong_step(key: RowKey, row: Row, weighted: float) -> Finding:
    """Build the finding of a row with a wrong weighted mean."""
    rest = [other for other in rows(PAPER) if (other.table, other.split) == (key.table, key.split)]
    all_wrong = sum(_off(other) > 0 for other in rest)
    if all_wrong == len(rest):
        argument = (
            f"All {all_wrong} methods of this block miss in the same direction, the other step blocks agree: "
            "C_h was probably averaged over other classes than the released head lists. (The authors' class "
            "logs give TailedCore's C_h, for both metrics, when leather is left out of seed 4's heads.)"
        )
        doubted: tuple[PublishedCell, ...] = (row["head"],)
    else:
        argument = "The six other methods of this block agree, so one of the row's three numbers is wrong."
        doubted = (row["tail"], row["head"], row["all"])
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="step weights",
        where=f"{key.split}, {METRIC_TITLES[key.metric]}",
        printed=_printed(row),
        recomputed=f"all = {weighted:.2f}",
        verdict="contradiction",
        argument=argument,
        doubted=names(doubted),
    )


def _off(key: RowKey) -> float:
    """Excess of all over the weighted mean of tail and head, minus one unit of the last digit."""
    row = rows(PAPER)[key]
    tail, head, everything = _three(row)
    share = STEP_TAILS[row["all"].dataset] / CLASSES[row["all"].dataset]
    return everything - (share * tail + (1 - share) * head) - table(PAPER, key.table).unit


def _needed_gap(row: Row) -> tuple[float, float]:
    """Difference of C_t - C_h between seeds that the printed `all` implies, and its bound.

    With w the share of tail classes in a seed,
    mean(all) = mean(w) C_t + (1 - mean(w)) C_h + cov(w, C_t - C_h).
    As w takes two values, the covariance is a constant times the difference of C_t - C_h between seeds with
    more and with fewer tail classes. Percentages allow a difference of at most 200.
    """
    tail, head, everything = _three(row)
    dataset = row["all"].dataset
    shares = [tails / CLASSES[dataset] for tails in PARETO_TAILS[dataset]]
    average = sum(shares) / len(shares)
    residual = everything - (average * tail + (1 - average) * head)
    many = [share for share in shares if share > average]
    covariance_per_point = sum(share - average for share in many) / len(shares)
    return residual / covariance_per_point, 200.0


def _largest_printed_gap() -> float:
    """Largest |C_t - C_h| printed anywhere in the paper."""
    return max(abs(row["tail"].value - row["head"].value) for row in _grouped().values())


def _pareto() -> Check:
    """Check in the Pareto splits that the mean over all classes fits those over tail and head classes."""
    findings = []
    compared = 0
    largest = _largest_printed_gap()
    for key, row in _grouped().items():
        if key.split != "pareto":
            continue
        compared += 1
        tail, head, everything = _three(row)
        unit = table(PAPER, key.table).unit
        outside = everything < min(tail, head) - unit or everything > max(tail, head) + unit
        needed, bound = _needed_gap(row)
        if outside or abs(needed) > largest:
            findings.append(_wrong_pareto(key, row, needed, bound, largest))
    return Check(
        PAPER,
        "In the Pareto splits, all lies between C_t and C_h",
        "the tail holds 8 or 9 of 15 classes (VisA 4 or 5 of 12) depending on the seed; found where all is "
        "outside [C_t, C_h], or where C_t - C_h would have to differ between seeds by more than the largest "
        f"gap printed anywhere in the paper ({largest:.2f})",
        compared,
        tuple(findings),
    )


def _wrong_pareto(key: RowKey, row: Row, needed: float, bound: float, largest: float) -> Finding:
    """Build the finding of a row whose overall mean is incompatible with the means of tail and head."""
    tail, head, everything = _three(row)
    outside = not min(tail, head) <= everything <= max(tail, head)
    where = "outside [C_t, C_h]" if outside else "between C_t and C_h"
    verdict: Verdict = "doubtful"
    doubted: tuple[PublishedCell, ...] = (row["tail"], row["head"])
    if abs(needed) > bound:
        verdict = "contradiction"
        doubted = (row["all"],)
        reason = (
            f"C_t - C_h would have to differ by {abs(needed):.0f} points between the seeds; percentages "
            f"allow {bound:.0f}."
        ) + _neighbour(key, row)
    elif key.printed_method in ZERO_SHOT:
        reason = (
            f"The method does not train: all is right (the same in every split), and C_t - C_h would have to "
            f"differ by {abs(needed):.0f} points between seeds with more and with fewer tail classes. The "
            "groups can hardly be those of the released lists."
        )
    else:
        reason = (
            f"C_t - C_h would have to differ by {abs(needed):.0f} points between seeds with more and with "
            f"fewer tail classes"
            + (f"; no gap of the paper exceeds {largest:.0f}." if abs(needed) > largest else ".")
        )
    return Finding(
        paper=PAPER,
        table=key.table,
        row=key.printed_method,
        what="tail and head against all",
        where=f"{key.split}, {METRIC_TITLES[key.metric]}",
        printed=_printed(row),
        recomputed=f"all is {where}",
        verdict=verdict,
        argument=reason,
        doubted=names(doubted),
    )


def _neighbour(key: RowKey, row: Row) -> str:
    """Remark if a row prints the number of the next block as its own; else ""."""
    beside = rows(PAPER)[key._replace(split="step_k4")]["tail"]
    if beside.value == row["all"].value:
        return " It is the number of the next column, C_t of step_k4."
    return ""


def _zero_shot() -> Check:
    """Check that methods without training have the same mean over all classes in every split."""
    findings = []
    compared = 0
    for key, row in rows(PAPER).items():
        if key.printed_method not in ZERO_SHOT:
            continue
        compared += 1
        twins = {
            other.split: cells["all"]
            for other, cells in rows(PAPER).items()
            if (other.table, other.printed_method) == (key.table, key.printed_method)
        }
        if any(cell.value != row["all"].value for cell in twins.values()):
            findings.append(
                Finding(
                    paper=PAPER,
                    table=key.table,
                    row=key.printed_method,
                    what="zero-shot",
                    where=key.split,
                    printed=row["all"].printed,
                    recomputed=", ".join(cell.printed for cell in twins.values()),
                    verdict="contradiction",
                    argument="A method that does not train has one mean over all classes.",
                    doubted=names([row["all"]]),
                )
            )
    return Check(
        PAPER,
        "Methods that do not train have the same all in every split",
        "equal in the three blocks of a table",
        compared,
        tuple(findings),
    )
