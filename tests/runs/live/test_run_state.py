import json

import numpy as np
import pytest

from runback.errors import TrainingError
from runback.runs.live.run_state import packed, unpacked

STATE = {
    "w": np.arange(6.0).reshape(2, 3),
    "half": np.arange(3, dtype=np.float16),
    "nested": {"a": [1, 2.5, None, True, "x"], 7: (np.int64(3), {"deep": np.zeros(0)})},
    "number": np.float32(0.1),
}


def again(state):
    tree, arrays = packed(state)
    return unpacked(json.loads(json.dumps(tree)), arrays)


def test_a_state_comes_back_as_it_was():
    found = again(STATE)
    np.testing.assert_array_equal(found["w"], STATE["w"])
    assert found["half"].dtype == np.float16
    assert found["nested"]["a"] == [1, 2.5, None, True, "x"]
    number, deep = found["nested"][7]
    assert (number, deep["deep"].shape) == (3, (0,))
    assert np.float32(found["number"]) == np.float32(0.1)


@pytest.mark.parametrize("bits", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_a_generator_goes_on_where_it_was(bits):
    generator = np.random.Generator(getattr(np.random, bits)(5))
    generator.normal(size=10)
    restored = again({"rng": generator})["rng"]
    assert restored.normal(size=5).tolist() == generator.normal(size=5).tolist()


def test_a_copy_is_kept_of_what_changes_later():
    w = np.zeros(3)
    tree, arrays = packed({"w": w})
    w += 1
    assert unpacked(tree, arrays)["w"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"model": object()}, "state.model"),
        ({"a": [1, {"b": {1, 2}}]}, "state.a.1.b"),
        ({"f": len}, "state.f"),
        ({"o": np.array([None])}, "state.o"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_place(state, place):
    with pytest.raises(TrainingError, match=place.replace(".", r"\.")):
        packed(state)


def test_other_keys_are_refused():
    with pytest.raises(TrainingError, match="the keys of state must be texts or whole numbers"):
        packed({1.5: 2})


def test_a_generator_of_another_name_is_not_built():
    with pytest.raises(TrainingError, match="a generator 'os', which NumPy has not"):
        unpacked({"generator": "os", "state": {}}, [])
