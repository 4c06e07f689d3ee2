import pytest

from runback.classifier.evaluation.gates.gate_file import check_gates, read_gates
from runback.errors import InputError

EVALUATION = {
    "n": 100,
    "quality": {
        "accuracy": {"value": 0.9, "low": 0.85, "high": 0.94, "n": 100},
        "classes": [{"name": "cat", "n": 50, "recall": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 50}}],
        "notes": ["fine"],
    },
}


def written(folder, conditions, *, owner="Ada", due="2030-01-31"):
    lines = "".join(f"  - {text}\n" for text in conditions)
    (folder / "strict.yaml").write_text(f"owner: {owner}\nreview_by: {due}\nconditions:\n{lines}")
    return folder


def test_conditions_are_checked_with_numbers_and_ends_of_intervals(tmp_path):
    conditions = [
        "quality.accuracy.low >= 0.8",
        "quality.accuracy < 0.9",
        "quality.classes.cat.recall.high > .5",
    ]
    gates = read_gates(written(tmp_path, conditions), "strict")
    assert (gates.owner, gates.review_by.isoformat()) == ("Ada", "2030-01-31")
    results = check_gates(gates, EVALUATION)
    assert [(one.value, one.passed) for one in results] == [(0.85, True), (0.9, False), (0.8, True)]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("quality.accurcy >= 0.8", "unknown number 'quality.accurcy'.*did you mean.*accuracy"),
        ("quality.notes >= 1", "is no number"),
        ("quality.classes.dog.recall > 0", "unknown number"),
        ("quality.accuracy.low.low > 0", "unknown number"),
    ],
)
def test_a_condition_over_an_unknown_number_is_refused(tmp_path, condition, message):
    gates = read_gates(written(tmp_path, [condition]), "strict")
    with pytest.raises(InputError, match=message):
        check_gates(gates, EVALUATION)


@pytest.mark.parametrize("condition", ["quality.accuracy == 1", "quality.accuracy > high", "nonsense", "> 3"])
def test_a_condition_that_is_none_is_refused(tmp_path, condition):
    with pytest.raises(InputError, match="expected a condition like"):
        read_gates(written(tmp_path, [f"'{condition}'"]), "strict")


def test_unknown_gates_and_bad_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"unknown gates 'strict'.*there are no gates"):
        read_gates(tmp_path, "strict")
    written(tmp_path, ["quality.accuracy > 0"])
    with pytest.raises(InputError, match="did you mean 'strict'"):
        read_gates(tmp_path, "stric")
    written(tmp_path, ["quality.accuracy > 0"], due="soon")
    with pytest.raises(InputError, match=r"review_by: .*date"):
        read_gates(tmp_path, "strict")
    (tmp_path / "strict.yaml").write_text("owner: Ada\nreview_by: 2030-01-31\n")
    with pytest.raises(InputError, match="conditions"):
        read_gates(tmp_path, "strict")
    (tmp_path / "strict.yaml").write_text("owner: [")
    with pytest.raises(InputError, match="cannot be read"):
        read_gates(tmp_path, "strict")
