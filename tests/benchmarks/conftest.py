import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

N_EPOCHS = 6


def random_curves(n: int = 120, *, seed: int = 0) -> pd.DataFrame:
    """Return curves of random configs: a rate that is best at 0.01, a method that matters, noise."""
    chance = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        method, rate = str(chance.choice(["sgd", "adam"])), 10 ** chance.uniform(-4, 0)
        width, dropout = int(chance.choice([32, 64])), chance.uniform(0, 0.5)
        top = (0.7 if method == "adam" else 0.5) * np.exp(-((np.log10(rate) + 2) ** 2)) - 0.1 * dropout
        for epoch in range(1, N_EPOCHS + 1):
            accuracy = 0.2 + top * (1 - np.exp(-0.4 * epoch)) + chance.normal(0, 0.01)
            rows.append(
                {
                    "method": method,
                    "rate": rate,
                    "width": width,
                    "dropout": dropout,
                    "epoch": epoch,
                    "val_accuracy": accuracy,
                    "val_loss": 1 - accuracy,
                    "seconds": width / 16 + (1 if epoch == 1 else 0) + chance.exponential(0.2),
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def curves() -> Callable[..., pd.DataFrame]:
    return random_curves
