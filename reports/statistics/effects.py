"""Which hyperparameters have an effect: a permutation test with a stated level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.stats import rankdata

from experiments.record.formatting import part_of
from reports.statistics.space import Axis

LEVEL = 0.04  # of the test; measured, any without effect is named in at most 5 % of studies
_PERMUTATIONS = 999
_MOST_DRAWS = 600  # networks; a larger study is sampled
_FEW_VALUES = 5  # values; a number with no more is compared value by value, like a choice
_LEAST_USED = 6  # networks that use a hyperparameter, to test it
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """The effect of one hyperparameter alone, where it is used.

    Args:
        name: The hyperparameter.
        p: p-value of no effect; NaN where it can't be tested.
        corrected: p-value corrected for the number of hyperparameters; likewise.
        share: Share of the variance of the scores' ranks that it explains.
        most: Upper end of the share's one-sided 95 % interval, corrected likewise.
    """

    name: str
    p: float
    corrected: float
    share: float
    most: float

    @property
    def is_real(self) -> bool:
        """Whether no effect is rejected at the level of 5 % over all hyperparameters."""
        return self.corrected <= LEVEL


def tested_words(num_drawn: int) -> str:
    """Says how many of the networks that were drawn independently of results are tested."""
    return part_of(min(num_drawn, _MOST_DRAWS), num_drawn, "network")


def effects(axes: Sequence[Axis], scores: _Array, seed: int) -> list[Effect]:
    """Tests whether each hyperparameter has an effect on scores, in the order of `axes`.

    Ranks of scores are explained by the values of a choice (Kruskal and Wallis' test), or by a
    number and its square. p-values come from permutations of the scores. So they hold at any number
    of networks, if hyperparameters were drawn independently of each other and of scores. The
    correction compares with the smallest p-value of each permutation. So the chance of naming any
    hyperparameter without effect is 5 %, whichever others have one. Source: Westfall and Young
    1993, "Resampling-based multiple testing", algorithm 2.5.

    Args:
        axes: Hyperparameters of networks that were drawn independently of results.
        scores: `(num_networks,)`, at equal fidelity.
        seed: Seed of the permutations.
    """
    rng = np.random.default_rng([seed, 0xEF])
    scores = np.asarray(scores, dtype=float)
    chosen = rng.permutation(len(scores))[:_MOST_DRAWS]
    permuted = [rng.permutation(scores[chosen]) for _ in range(_PERMUTATIONS)]
    shuffled = np.vstack([scores[chosen], *permuted])
    found = [_explained(axis.unit[chosen], axis, axis.active[chosen], shuffled) for axis in axes]
    table = np.array([p for p, _, _ in found]).reshape(len(axes), len(shuffled))
    tested = np.isfinite(table[:, 0])
    least = table[tested].min(axis=0) if tested.any() else np.array([])
    return [
        Effect(
            axis.name,
            _rank_p(p, p[0]),
            _rank_p(least, p[0]),
            share,
            _upper_share(share, *degrees, LEVEL / max(int(tested.sum()), 1)),
        )
        for axis, (p, share, degrees) in zip(axes, found, strict=True)
    ]


def _rank_p(permuted: _Array, seen: float) -> float:
    """Returns the share of permutations at least as extreme, the observed one included."""
    return math.nan if math.isnan(seen) else float(np.mean(permuted <= seen * (1 + 1e-9)))


def _explained(
    units: _Array, axis: Axis, used: npt.NDArray[np.bool_], shuffled: _Array
) -> tuple[_Array, float, tuple[int, int]]:
    """Returns p-values of an F-test, one a permutation, the first's share, degrees of freedom."""
    basis = _basis(units[used], bool(axis.labels))
    count, freedom = int(used.sum()), basis.shape[1]
    rest = count - freedom - 1
    ranks = rankdata(shuffled[:, used], axis=1) if count else shuffled[:, used]
    ranks = ranks - ranks.mean(axis=1, keepdims=True) if count else ranks
    total = (ranks**2).sum(axis=1)
    if count < _LEAST_USED or freedom < 1 or rest < 1 or total[0] == 0:
        return np.full(len(shuffled), math.nan), math.nan, (freedom, rest)
    share = np.minimum(((ranks @ basis) ** 2).sum(axis=1) / total, 1 - 1e-12)
    p = special.fdtrc(freedom, rest, share / (1 - share) * rest / freedom)
    return np.asarray(p), float(share[0]), (freedom, rest)


def _basis(values: _Array, is_choice: bool) -> _Array:
    """Returns orthonormal columns that span what the hyperparameter may explain."""
    levels, level = np.unique(values, return_inverse=True)
    if len(levels) < 2:
        return np.empty((len(values), 0))
    if is_choice or len(levels) <= _FEW_VALUES:
        columns = np.eye(len(levels))[level][:, 1:]
    else:
        columns = np.column_stack([values, values**2])
    columns = columns - columns.mean(axis=0)
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-9 * sizes[0]])


def _upper_share(share: float, freedom: int, rest: int, alpha: float) -> float:
    """Returns the upper end of a one-sided interval of a share, by the noncentral F distribution.

    Source: Steiger 2004, "Beyond the F test". A share below the one that chance gives is replaced
    by it.
    """
    if math.isnan(share):
        return math.nan
    ratio = max(share / (1 - share) * rest / freedom, 1.0)
    noncentral = float(special.ncfdtrinc(freedom, rest, alpha, ratio))
    return noncentral / (noncentral + rest + freedom + 1)
