"""The TensorFlow of this process: its version and what it was built for."""

from typing import Any


def tensorflow_build() -> dict[str, Any]:
    """Return which TensorFlow this is, what it was built for, and whether oneDNN computes for it here.

    Imports TensorFlow, which takes seconds. `onednn` is what TensorFlow decided from the CPU and from
    TF_ENABLE_ONEDNN_OPTS; None where it cannot be asked.
    """
    import tensorflow as tf

    return {
        "version": tf.version.VERSION,
        "git_version": tf.version.GIT_VERSION,
        "build": dict(sorted(tf.sysconfig.get_build_info().items())),
        "onednn": _onednn(),
    }


def _onednn() -> bool | None:
    try:
        # There is no public way to ask; the default depends on what the CPU can do.
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:
        return None
    is_enabled = getattr(_pywrap_util_port, "IsMklEnabled", None)
    return None if is_enabled is None else bool(is_enabled())
