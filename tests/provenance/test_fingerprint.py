import hashlib

import ml_dtypes
import numpy as np
import pytest

from runback.provenance.fingerprint import array_hash, tensor_hashes


def test_the_hash_is_over_type_shape_and_little_endian_elements_in_c_order():
    array = np.array([[1, 2], [3, 4]], np.int16)
    content = b'{"dtype":"int16","shape":[2,2]}\n' + b"\1\0\2\0\3\0\4\0"
    assert array_hash(array) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex64"])
def test_how_it_lies_in_memory_does_not_matter(dtype):
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    expected = array_hash(array)
    assert array_hash(np.asfortranarray(array)) == expected
    assert array_hash(array.astype(array.dtype.newbyteorder(">"))) == expected
    assert array_hash(np.repeat(array, 2, axis=0)[::2]) == expected


def test_one_bit_matters():
    array = np.ones((3, 1000), np.float32)
    expected = array_hash(array)
    array.view(np.uint32)[2, 999] ^= 1
    assert array_hash(array) != expected


def test_type_and_shape_matter():
    zeros = np.zeros((2, 3), np.float32)
    others = [zeros.T, zeros.ravel(), zeros.view(np.int32), zeros.astype(np.float64), -zeros]
    hashes = {array_hash(array) for array in [zeros, *others]}
    assert len(hashes) == 6


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, np.float16])
def test_types_that_networks_use_have_hashes(dtype):
    array = np.arange(6).astype(dtype)
    assert array_hash(array) == array_hash(array.copy())
    assert array_hash(array) != array_hash(array[::-1])


def test_bfloat16_is_not_another_type_of_its_size():
    array = np.zeros(3, ml_dtypes.bfloat16)
    assert array_hash(array) != array_hash(array.view(np.float16))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
def test_scalars_and_empty_arrays_have_hashes(shape):
    assert array_hash(np.zeros(shape)) != array_hash(np.zeros((*shape, 1)))


def test_hashing_changes_nothing():
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    array.flags.writeable = False
    array_hash(array)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_objects_have_no_bytes():
    with pytest.raises(TypeError, match="array of numbers"):
        array_hash(np.array([None]))


def test_each_tensor_has_its_hash_in_the_order_given():
    named = {"b/kernel": np.zeros(2), "a/bias": np.ones(2)}
    assert list(tensor_hashes(named).items()) == [(name, array_hash(array)) for name, array in named.items()]
