"""The state that Optuna keeps of CMA-ES, a pickle in the study: read without running what is in it."""

import io
import pickle
from typing import Any

from runback.errors import InputError
from runback.sweeping.study.optuna_internals import replace_cmaes_pickle

ALLOWED = {
    ("_codecs", "encode"),
    ("cmaes._cma", "CMA"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._pickle", "__randomstate_ctor"),
}
"""All that such a state is made of: numbers, arrays, and the generator of its random numbers."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise InputError(
                f"the study's CMA-ES state names {module}.{name}, which is no part of such a state: "
                "the file is damaged or forged; start a new study with --new"
            )
        return super().find_class(module, name)


class _Pickle:
    """Stands where Optuna's module has the module `pickle`, of which it uses these two functions."""

    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(state: bytes) -> Any:
        try:
            return _Unpickler(io.BytesIO(state)).load()
        except InputError:
            raise
        except Exception as error:  # whatever a damaged pickle makes of itself
            raise InputError(
                f"the study's CMA-ES state cannot be read ({type(error).__name__}): "
                "start a new study with --new"
            ) from error


def read_safely() -> None:
    """Make Optuna's CMA-ES sampler read its state from a study as data; to be called before it reads one."""
    replace_cmaes_pickle(_Pickle)
