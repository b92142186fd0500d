"""From two runs to a word: the two-precision verdict.

The error of a function that has the symmetry is rounding alone, so it shrinks with the precision: by 5e8 from float32
to float64. An error that the function makes itself is the same in both. The thresholds are about the two precisions,
not about the function, so there is no tolerance to guess.
"""

import math

EPS32 = 2.0**-23
EPS64 = 2.0**-52

EXACT = 1e6  # error shrinks by more: rounding alone; the machine epsilons are 5.4e8 apart
LIMITED = 3.0  # error shrinks by less: it does not depend on the precision
INSIDE32 = 16 * EPS32  # error of less is float32 rounding, where the float64 program has casts to fewer digits
BROKEN = 1e-2  # error of more is no approximation

# The measured error in float32 is the yardstick for that in float64. Rounding may spare it by luck (one reflection is
# one draw), so the difference of the two runs counts too, as far as it can be rounding; and an error that is not small
# is no rounding, and must not excuse anything.
MOST_NOISE = 1e-4
MOST_YARDSTICK = 1e-2

ORDER = ("exact", "limited", "approximate", "broken")


def ratio(error32: float, error64: float) -> float:
    """max(error32, ε32) / error64, infinite if the float64 error is zero."""
    return math.inf if error64 == 0 else max(error32, EPS32) / error64


def judge(error32: float, error64: float, noise: float = 0.0, narrowed: bool = False) -> str:
    """The verdict on one part of the group, or one output.

    Args:
        error32: Largest relative equivariance error in float32.
        error64: The same in float64.
        noise: Largest relative difference of the float32 and the float64 run themselves.
        narrowed: Whether the float64 program holds casts to fewer digits.

    Returns:
        "exact", "limited", "approximate" or "broken".
    """
    yardstick = min(max(error32, EPS32, min(noise, MOST_NOISE)), MOST_YARDSTICK)
    if error64 * EXACT < yardstick:
        return "exact"
    if error64 >= BROKEN:
        return "broken"
    limited = ratio(error32, error64) >= LIMITED or (narrowed and max(error32, error64) <= INSIDE32)
    return "limited" if limited else "approximate"


def worst(verdicts: list[str]) -> str:
    """The worst of some verdicts."""
    return max(verdicts, key=ORDER.index, default="exact")
