"""What can be said under `hydra.sweeper.confirm`."""

import pytest

from runback.errors import InputError
from runback.sweeping.confirm.confirm_settings import ConfirmSettings


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"top": 0}, "hydra.sweeper.confirm.top must be a whole number from 1; got 0"),
        ({"top": 2.5}, "hydra.sweeper.confirm.top must be a whole number from 1; got 2.5"),
        ({"seeds": 1}, "hydra.sweeper.confirm.seeds must be a whole number from 2 to 1000; got 1"),
        ({"seeds": True}, "hydra.sweeper.confirm.seeds must be a whole number from 2 to 1000; got True"),
        ({"seed": 5}, "hydra.sweeper.confirm has no seed: did you mean 'seeds'?"),
        ({"folds": 5}, "hydra.sweeper.confirm has no folds: expected top, seeds, seed_key"),
        ({"seed_key": ""}, "hydra.sweeper.confirm.seed_key must be a key of the config"),
        (True, "hydra.sweeper.confirm must be like {top: 3, seeds: 5}, or null for none; got True"),
    ],
)
def test_bad_settings_are_refused(spec, message):
    with pytest.raises(InputError) as refused:
        ConfirmSettings.of(spec)
    assert str(refused.value).startswith(message)
