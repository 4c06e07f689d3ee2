"""The TensorFlow of this process: its version and what it was built for."""

from typing import Any

from runback.keras.tensorflow_internals import is_onednn_enabled


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
        "onednn": is_onednn_enabled(),
    }
