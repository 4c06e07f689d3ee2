"""One number that makes a network less sure of itself, or more."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from runback.classifier.evaluation.answers import Answers

RANGE = (0.05, 20.0)
"""The temperatures that are looked among."""

LEAST = 1e-30
"""Stands for probabilities that a network has rounded to 0."""


def fit_temperature(validation: Answers) -> float:
    """Return the temperature that makes the log loss on validation images least.

    Above 1, the network was too sure. Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of
    modern neural networks", ICML 2017, section 4.2.
    """
    logs = _logs(validation.probabilities)
    rows = np.arange(len(validation))

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        highest = scaled.max(axis=1)
        total = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
        return float((total - scaled[rows, validation.labels]).mean())

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def tempered(answers: Answers, temperature: float) -> Answers:
    """Return the answers with probabilities at this temperature; the likeliest class stays the same."""
    return Answers(answers.dataset, softmax(_logs(answers.probabilities) / temperature, axis=1))


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, LEAST))
