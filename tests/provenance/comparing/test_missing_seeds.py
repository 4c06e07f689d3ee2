import pytest

from runback.provenance.comparing.missing_seeds import missing_seeds
from runback.provenance.comparing.verdict import judge

BEGIN = {"Python": "p", "NumPy": "n", "variables": "v", "data": "ArrayDataAdapter"}
END = {"Python": "p2", "NumPy": "n2"}


def result(begin=None, end=None, unseeded=(), loss=1.0):
    trace = {
        "begin": {**BEGIN, **(begin or {})},
        "end": {**END, **(end or {})},
        "unseeded": dict.fromkeys(unseeded, ""),
    }
    epochs = [{"epoch": 1, "metrics": {"loss": loss}}]
    return {"epochs": epochs, "weights": None, "predictions": None, "finished": True, "trace": trace}


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({}, {"begin": {"NumPy": "x"}}, "seeds are missing: the generator of NumPy stood elsewhere"),
        ({}, {"begin": {"variables": "x"}}, "seeds are missing: the model's variables were others"),
        ({}, {"unseeded": ["fit.py:7"]}, "seeds are missing: fit.py:7 makes a generator without a seed"),
        (
            {"begin": {"data": "GeneratorDataAdapter"}},
            {"begin": {"data": "GeneratorDataAdapter"}},
            "order of data is missing: fit takes it from what makes its own (GeneratorDataAdapter)",
        ),
        ({}, {"end": {"Python": "x"}}, "order of data is missing: the generator of Python was the same"),
        ({}, {}, "seeds or order of data: which is missing cannot be told"),
    ],
)
def test_what_differs_first_says_what_is_missing(then, now, said):
    [line] = missing_seeds(result(**then), result(**now))
    assert line.startswith(said)


def test_nothing_is_said_without_a_trace_of_both():
    without = {key: value for key, value in result().items() if key != "trace"}
    assert missing_seeds(without, result()) == []
    assert missing_seeds(result(), without) == []


def test_a_verdict_says_it_where_nothing_else_may_explain_another_result():
    verdict = judge(result(), result(loss=2.0), [], 0)
    assert verdict.explain()[-1].startswith("seeds or order of data")
    assert judge(result(), result(), [], 0).explain()[-1].startswith("bit-identical")
