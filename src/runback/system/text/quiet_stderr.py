"""Keeps what TensorFlow says about the machine at its start off the screen."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hold back standard error, that of C++ code and of processes started meanwhile included.

    TensorFlow prints half a screen before any log level applies. It comes out after all when the body raises;
    where an NVIDIA driver is loaded nothing is held back, because there it may say why no GPU is used.
    """
    if NVIDIA_DRIVER.exists():
        yield
        return
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            with contextlib.suppress(OSError):  # nobody reads it any more
                os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
