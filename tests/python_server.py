"""Forks what `python WORDS` would start from a process that has imported runback: seconds less for each.

Reads requests from a socket, its only argument: JSON with the words, the working directory and the
environment, and the descriptors of standard input, output and error and of a pipe, to which the process ID
and the exit code are written.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import types
from pathlib import Path

IMPORTED = (
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking.client",
    "hydra",
    "optuna",
    "runback.cli.approval.evaluate",
    "runback.cli.commands.reproduce",
    "runback.cli.sweeps.sweep",
    "runback.cli.commands.train",
)


def serve(requests: socket.socket) -> None:
    """Fork until the socket is closed; in a forked process, be that Python to its end."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _watch(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        while _reap():
            pass


def _reap() -> bool:
    """Wait for a process that has ended; say whether there was one."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _watch(request: dict, *descriptors: int) -> None:
    """Fork the process and tell of its beginning and of its end."""
    *streams, answer = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(_python(**request))
    os.write(answer, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _python(words: list[str], folder: str, environment: dict[str, str]) -> int:
    """Do what `python WORDS` does; return its exit code."""
    import numpy as np

    np.random.seed()  # which NumPy does as it is imported
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code: object = 0
    try:
        _run(words)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


def _run(words: list[str]) -> None:
    first, *rest = words
    if first == "-m":
        sys.path[0], sys.argv[:] = str(Path.cwd()), rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    sys.argv[:] = ["-c", *rest[1:]] if first == "-c" else words
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    if first == "-c":
        sys.path[0], source, file = "", rest[0], "<string>"
    else:
        script = Path(first).absolute()
        sys.path[0], source, file = str(script.parent), script.read_bytes(), str(script)
        module.__file__ = file
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - as Python does


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from runback.classifier.preload import PRELOAD

    for name in (*PRELOAD, *IMPORTED):
        importlib.import_module(name)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
