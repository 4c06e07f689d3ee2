"""The private part of TensorFlow that runback uses.

tests/keras/test_tensorflow_internals.py has a test for it, which fails when TensorFlow changes it.
"""


def is_onednn_enabled() -> bool | None:
    """Return whether oneDNN computes for TensorFlow here; None where it cannot be asked.

    There is no public way to ask; the default depends on what the CPU can do. Imports TensorFlow.
    """
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:
        return None
    is_enabled = getattr(_pywrap_util_port, "IsMklEnabled", None)
    return None if is_enabled is None else bool(is_enabled())
