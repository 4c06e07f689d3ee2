import pytest
from mlflow.utils.validation import _validate_metric_name

from runback.tracking.metric_names import best
from runback.tracking.mlflow_limits import NAME_LIMIT


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ("val_accuracy", "best_val_accuracy"),
        ("a/b", "best_a_b"),
        ("a:b", "best_a_b"),
        ("f1 (macro)", "best_f1 _macro_"),
        ("x" * 250, f"best_{'x' * 245}"),
    ],
)
def test_a_best_value_has_a_name_that_it_is_stored_by(objective, name):
    assert best(objective) == name
    assert len(name) <= NAME_LIMIT
    _validate_metric_name(name)
