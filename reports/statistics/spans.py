"""Whether some of many points lie closer together than chance puts them."""

from collections.abc import Sequence
from math import comb


def span_p(count: int, total: int, chosen: int) -> float:
    """Returns the chance that `chosen` of `total` ordered points span `count` of them or fewer.

    A span of s points has its two ends and `chosen` - 2 of the s - 2 between them, and fits into
    `total` - s + 1 places; all choices are equally likely. Ties only make the chance smaller.

    Raises:
        ValueError: Not 2 <= chosen <= count <= total.
    """
    if not 2 <= chosen <= count <= total:
        raise ValueError(
            f"expected 2 <= chosen <= count <= total; got chosen {chosen}, count {count}, "
            f"total {total}"
        )
    ways = sum((total - span + 1) * comb(span - 2, chosen - 2) for span in range(chosen, count + 1))
    return ways / comb(total, chosen)


def one_group_p(sizes: Sequence[int], group: int, chosen: int) -> float:
    """Returns the chance that `chosen` points all fall into one group no larger than `group`.

    Args:
        sizes: Points of each group.
        group: Points of the group that they fell into.
        chosen: How many were drawn.
    """
    return sum(comb(size, chosen) for size in sizes if size <= group) / comb(sum(sizes), chosen)
