import pytest

from runback.runs.live.frameworks import recorded_backend


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"KERAS_BACKEND": "jax", "PATH": "/evil"}, {"KERAS_BACKEND": "jax"}),
        ({"KERAS_BACKEND": "evil"}, {}),
        ({}, {}),
    ],
)
def test_a_script_gets_no_more_of_a_record_than_its_backend(environment, chosen):
    assert recorded_backend(environment) == chosen
