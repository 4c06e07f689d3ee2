"""By how much the best of many looks better than it is."""

from scipy.special import ndtri


def optimism_of_best(count: int, n: int, share: float) -> float:
    """Return by how much the largest of `count` shares, each of n images and the same in truth, is too high.

    It is the expected largest of normal errors, by Blom's approximation (Statistical Estimates and
    Transformed Beta-Variables, 1958), for errors that are independent: an upper bound for networks that are
    tested on the same images.
    """
    if count < 2:
        return 0.0
    return float(ndtri((count - 0.375) / (count + 0.25)) * (share * (1 - share) / n) ** 0.5)
