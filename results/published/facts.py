"""Facts that the lint needs besides the tables: groups of classes, and numbers of test images."""

from __future__ import annotations

# Columns of LTAD's Tables 10-49 from most to least populated: the first floor(n / 2) are High.
# Reversed configurations read it backwards.
POPULARITY = {
    "mvtec": (
        "hazelnut", "leather", "bottle", "wood", "carpet", "tile", "metal_nut",
        "toothbrush", "zipper", "transistor", "grid", "pill", "capsule", "cable", "screw",
    ),
    "visa": (
        "pcb3", "pcb2", "pcb1", "pcb4", "macaroni1", "macaroni2",
        "candle", "cashew", "fryum", "capsules", "chewinggum", "pipe_fryum",
    ),
    "dagm": (
        "Class10", "Class7", "Class9", "Class8", "Class2",
        "Class3", "Class5", "Class1", "Class4", "Class6",
    ),
}  # fmt: skip

# Tail classes in TailedCore's released lists, seeds 1-5 (kept fewer than 20 good images), and all classes.
CLASSES = {"mvtec": 15, "visa": 12}
STEP_TAILS = {"mvtec": 9, "visa": 7}
PARETO_TAILS = {"mvtec": (8, 9, 9, 8, 8), "visa": (4, 5, 5, 4, 4)}

# (good, defective) test images of a class: MVTec AD (Bergmann et al. 2019), and VisA's one-class split
# (Zou et al. 2022).
TEST_IMAGES = {
    "mvtec": {
        "bottle": (20, 63), "cable": (58, 92), "capsule": (23, 109), "carpet": (28, 89), "grid": (21, 57),
        "hazelnut": (40, 70), "leather": (32, 92), "metal_nut": (22, 93), "pill": (26, 141),
        "screw": (41, 119), "tile": (33, 84), "toothbrush": (12, 30), "transistor": (60, 40),
        "wood": (19, 60), "zipper": (32, 119),
    },
    "visa": {
        "candle": (100, 100), "capsules": (60, 100), "cashew": (50, 100), "chewinggum": (50, 100),
        "fryum": (50, 100), "macaroni1": (100, 100), "macaroni2": (100, 100), "pcb1": (100, 100),
        "pcb2": (100, 100), "pcb3": (101, 100), "pcb4": (101, 100), "pipe_fryum": (50, 100),
    },
}  # fmt: skip

# MVTec AD: good training images of a class, and the defects that MeDS' released seed-0 lists add to it
# at 10, 20 and 40 %.
MEDS_TRAINING = {
    "bottle": (209, (21, 42, 63)), "cable": (224, (22, 45, 90)), "capsule": (219, (22, 44, 88)),
    "carpet": (280, (28, 56, 89)), "grid": (264, (26, 53, 57)), "hazelnut": (391, (48, 55, 70)),
    "leather": (245, (24, 49, 92)), "metal_nut": (220, (22, 44, 88)), "pill": (267, (27, 53, 107)),
    "screw": (320, (32, 64, 119)), "tile": (230, (23, 46, 84)), "toothbrush": (60, (6, 12, 24)),
    "transistor": (213, (21, 40, 40)), "wood": (247, (25, 49, 60)), "zipper": (240, (24, 48, 96)),
}  # fmt: skip
MEDS_RATIOS = (10, 20, 40)


def ltad_group(dataset: str, split: str, group: str) -> tuple[str, ...]:
    """Classes of LTAD's group "all", "high" or "low" in a split."""
    order = POPULARITY[dataset][::-1] if "reverse" in split else POPULARITY[dataset]
    half = len(order) // 2
    return {"all": order, "high": order[:half], "low": order[half:]}[group]
