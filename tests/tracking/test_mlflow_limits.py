import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_param_name

from runback.errors import InputError
from runback.tracking.mlflow_limits import NAME_LIMIT, refuse_param_names

GOOD = ("model.width", "a:b", "a b", "ä.ö", "a/b", "x" * NAME_LIMIT, "1")
BAD = ("a@b", "a//b", "/a", "a/", "a/../b", "../a", ".", "a\nb", "a\udcffb", "a,b")


@pytest.mark.parametrize("name", GOOD)
def test_names_that_mlflow_takes_pass(name):
    _validate_param_name(name)
    refuse_param_names([name])


@pytest.mark.parametrize("name", BAD)
def test_names_that_mlflow_refuses_are_refused_before(name):
    with pytest.raises(MlflowException):
        _validate_param_name(name)
    with pytest.raises(InputError, match=r"^the key .* cannot be stored") as refused:
        refuse_param_names(["good", name])
    assert str(refused.value).isascii()


def test_a_name_that_is_too_long_is_refused_in_a_short_line():
    with pytest.raises(
        InputError, match="has 251 characters, and MLflow takes params of at most 250"
    ) as refused:
        refuse_param_names(["x" * (NAME_LIMIT + 1)])
    assert len(str(refused.value)) < 200
