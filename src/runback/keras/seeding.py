"""One seed for every random generator, deterministic operations, and fixed thread counts."""

from runback.errors import InputError, NeedsFreshProcess


def seed_everything(seed: int, threads: int) -> None:
    """Make what TensorFlow computes in this process a function of `seed` and `threads`.

    Seeds Python, NumPy, TensorFlow and Keras, makes operations deterministic, and sets the thread counts,
    because another number of threads adds floats in another order and gives other bits. On GPUs memory is
    taken as needed, so that several trials can share one. `seed` lies in [0, 2**32), `threads` is at least 1.

    Thread counts are fixed once TensorFlow has run anything: a second call in one process may change the seed
    only. Raises InputError; NeedsFreshProcess, one of them, for other thread counts than before.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in [0, 4294967295]; got {seed}")
    if threads < 1:
        raise InputError(f"threads must be at least 1; got {threads}")

    import keras
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError) as error:
        before = tf.config.threading.get_intra_op_parallelism_threads() or "its default number of"
        raise NeedsFreshProcess(
            f"TensorFlow already runs in this process, with {before} threads; got threads={threads}: "
            "start a new process, or seed before anything uses TensorFlow"
        ) from error
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
