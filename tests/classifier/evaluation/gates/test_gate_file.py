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
    "condition",
    ["quality.accurcy >= 0.8", "qualty.accuracy > 0", "n.low > 0", "groups.worst > 0", "accuracy > 0"],
)
def test_a_condition_over_a_number_that_no_evaluation_has_is_refused(tmp_path, condition):
    with pytest.raises(InputError, match="unknown number"):
        read_gates(written(tmp_path, [condition]), "strict")


@pytest.mark.parametrize(
    "condition",
    [
        "quality.classes.dog.recall > 0",
        "groups.worst_site_accuracy > 0",
        "membership.membership_auc.high < 0.7",
    ],
)
def test_a_number_that_this_evaluation_does_not_have_fails_its_condition(tmp_path, condition):
    [result] = check_gates(read_gates(written(tmp_path, [condition]), "strict"), EVALUATION)
    assert (result.value, result.passed) == (None, False)
    assert result.line() == f"FAILED  {condition}  (not measured)"


def test_names_with_dots_comparisons_and_numbers_of_lists_are_reached(tmp_path):
    evaluation = {
        "groups": {
            "groupings": [
                {"name": "age", "groups": [{"name": "(0.0, 12.5]", "n": 40}, {"name": "<3", "n": 7}]}
            ]
        },
        "corruptions": {"corruptions": {"fog": [{"value": 0.9}, {"value": 0.5, "low": 0.4}]}},
        "quality": {"classes": [{"name": "dr. x", "recall": {"value": 1.0, "low": None}}]},
    }
    conditions = {
        "groups.groupings.age.groups.(0.0, 12.5].n >= 30": 40,
        "groups.groupings.age.groups.<3.n >= 30": 7,
        "corruptions.corruptions.fog.2.low > 0.3": 0.4,
        "corruptions.corruptions.fog.1 > 1e-3": 0.9,
        "quality.classes.dr. x.recall > 0": 1.0,
        "quality.classes.dr. x.recall.low > 0": None,
    }
    results = check_gates(
        read_gates(written(tmp_path, [f"'{one}'" for one in conditions]), "strict"), evaluation
    )
    assert [one.value for one in results] == [*conditions.values()]
    assert [one.passed for one in results] == [True, False, True, True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "review_by: 2026-02-30",
        "owner: 0x_",
        f"owner: {'9' * 5_000}",
        "owner: !!int x",
        "owner: !!timestamp x",
        "owner: !!bool x",
        "[" * 5_000,
        "owner: !!python/object/apply:os.system [ls]",
        "a: &a [b]\n*a : c",
        "\x00",
        "- 1",
        "7",
    ],
    ids=lambda text: text[:20],
)
def test_yaml_of_every_kind_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "strict.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_gates(tmp_path, "strict")
    assert "\n" not in str(caught.value)


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
