import pytest

from runback.comparison.columns import typed, whole


@pytest.mark.parametrize(
    ("params", "dtype", "values"),
    [
        (["1", "-2"], "int64", [1, -2]),
        (["1", "0.5"], "float64", [1.0, 0.5]),
        (["1e-05", "1.0"], "float64", [1e-05, 1.0]),
        (["True", "False"], "bool", [True, False]),
        (["3", "None", None], "Int64", [3, None, None]),
        (["True", None], "boolean", [True, None]),
        (["0.5", None], "float64", [0.5, None]),
        (["123456789012345678901234567890"], "float64", [123456789012345678901234567890.0]),
    ],
)
def test_params_become_what_they_were(params, dtype, values):
    column = typed(params)
    assert column.dtype == dtype
    assert column.astype(object).where(column.notna(), None).tolist() == values


def test_text_stays_text_and_none_is_missing():
    column = typed(["adam", "1", "None"])
    assert column.tolist()[:2] == ["adam", "1"]
    assert column.isna().tolist() == [False, False, True]
    assert typed([None, "None"]).isna().all()


def test_whole_numbers_stay_whole_where_one_is_missing():
    assert whole([1, 2]).dtype == "int64"
    assert whole([1, None]).dtype == "Int64"
