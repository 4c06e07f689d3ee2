"""The interval of an accuracy that was measured on n images."""

import math

Z_95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


def wilson(right: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share: `right` of `n`, n at least 1; both ends in [0, 1].

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927), 209-212; recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001), 101-133.
    """
    share = right / n
    spread = Z_95**2 / n
    center = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # Rounding must not push an end past the share itself, which is an end when it is 0 or 1.
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))
