"""A script that lacks its seeds, or an order of its data, is told so by `reproduce`."""

import re

import pytest

SCRIPT = """
import random
import sys
import time

import numpy as np

import runback

kind = sys.argv[1]
with runback.start({"kind": kind}, objective="loss") as run:
    if kind == "unseeded":
        rng = np.random.default_rng()
    elif kind == "reseeded":
        random.seed()
        rng = np.random.default_rng(random.randrange(10**6))
    else:
        rng = np.random.default_rng(time.time_ns())
    for epoch in run.epochs(2):
        run.log(loss=rng.normal())
"""

KERAS = """
import sys
import time

import keras
import numpy as np

import runback


def build():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


kind = sys.argv[1]
early = build()
with runback.start({"kind": kind}, objective="loss") as run:
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    x, y = run.data((x, x.sum(1, keepdims=True)))
    callbacks = [runback.keras.Callback(run)]

    def batches():
        order = np.random.RandomState(time.time_ns() % 2**31)
        while True:
            chosen = order.permutation(64)[:16]
            yield x[chosen], y[chosen]

    if kind == "generator":
        build().fit(batches(), steps_per_epoch=4, epochs=2, verbose=0, callbacks=callbacks)
    else:
        early.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
"""

SAID = {
    "unseeded": "seeds are missing: lacking.py:13 makes a generator without a seed",
    "reseeded": "seeds are missing: the generator of Python stood elsewhere before the first epoch",
    "time": "seeds or order of data: which is missing cannot be told",
    "early": "seeds are missing: the model's variables were others before the first epoch",
    "generator": "order of data is missing: fit takes it from what makes its own (GeneratorDataAdapter)",
}


@pytest.mark.parametrize("kind", SAID)
def test_reproduce_says_whether_seeds_or_the_order_of_data_is_missing(own_folder, kind):
    text = KERAS if kind in ("early", "generator") else SCRIPT
    (own_folder.folder / "lacking.py").write_text(text)
    done = own_folder.python("lacking.py", kind)
    assert done.returncode == 0, done.stderr
    assert ("  note: lacking.py:13 makes a generator without a seed" in done.stdout) == (kind == "unseeded")
    [run] = re.findall(r"^run ([0-9a-f]{32})$", done.stdout, re.MULTILINE)
    again = own_folder.runback("reproduce", run, "--in-place")
    assert again.returncode == 1, again.stderr
    said = [line for line in again.stdout.splitlines() if line.startswith(("seeds", "order of data"))]
    assert len(said) == 1
    assert said[0].startswith(SAID[kind])
