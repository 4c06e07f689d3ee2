import os
import subprocess
import sys

import pytest

from runback.errors import InputError
from runback.keras.seeding import seed_everything
from runback.system.cores import available_cores

DRAW_FROM_EVERY_GENERATOR = """
import random, sys
import keras, numpy, tensorflow as tf
from runback.keras.seeding import seed_everything

for seed in sys.argv[1:]:
    seed_everything(int(seed), 1)
    print(random.random(), numpy.random.rand(), float(tf.random.uniform(())), float(keras.random.uniform(())))
"""

SEED_AGAIN = """
import sys
import tensorflow as tf
from runback.errors import InputError
from runback.keras.seeding import seed_everything

seed_everything(1, 1)
tf.zeros(1) + 1
seed_everything(2, 1)
print(tf.config.threading.get_intra_op_parallelism_threads())
print(tf.config.threading.get_inter_op_parallelism_threads())
try:
    seed_everything(2, 3)
except InputError as error:
    print(error)
"""


def output_of(script: str, *arguments: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=1200
    )
    return process.stdout


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_a_generator_cannot_take_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=rf"seed must lie in \[0, 4294967295\]; got {seed}"):
        seed_everything(seed, 1)


def test_zero_threads_are_refused() -> None:
    with pytest.raises(InputError, match="threads must be at least 1; got 0"):
        seed_everything(1, 0)


def test_the_same_seed_gives_every_generator_the_same_numbers_in_another_process() -> None:
    seven, eight = output_of(DRAW_FROM_EVERY_GENERATOR, "7", "8").splitlines()
    assert output_of(DRAW_FROM_EVERY_GENERATOR, "8", "7").splitlines() == [eight, seven]
    assert not set(seven.split()) & set(eight.split())


def test_seeding_again_with_the_same_threads_works_and_with_others_says_why_not() -> None:
    intra, inter, message = output_of(SEED_AGAIN).splitlines()
    assert (intra, inter) == ("1", "1")
    assert message.startswith("TensorFlow already runs in this process, with 1 threads; got threads=3")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no processor affinity")
def test_available_cores_counts_only_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cores() == len(allowed)
