"""Compares the parts of two records, each giving (what differs, then, now, whether it is numeric)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from runback.system.text.listing import listed

Part = Mapping[str, Any]
Found = Iterator[tuple[str, str, str, bool]]

NUMERIC_PACKAGES = (
    *("jax", "jaxlib", "keras", "ml-dtypes", "numpy", "scikit-learn", "scipy", "tensorflow", "torch"),
    *("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-metal"),
)
"""Packages whose versions decide how floats are added up; with them go NVIDIA's libraries."""

NVIDIA_LIBRARIES = ("nvidia-cu", "nvidia-nccl")

NUMERIC_VARIABLES = (
    *("CUBLAS_", "CUDA_", "DNNL_", "JAX_", "MKL_", "NVIDIA_TF32_OVERRIDE"),
    *("NVIDIA_VISIBLE_DEVICES", "OMP_", "ONEDNN_", "OPENBLAS_", "TF_CUBLAS_", "TF_CUDNN_"),
    *("TF_DETERMINISTIC_OPS", "TF_DISABLE_MKL"),
    *("TF_ENABLE_", "TF_NUM_", "TF_USE_CUBLAS", "TF_USE_CUDNN", "TF_XLA_FLAGS", "XLA_FLAGS"),
    *("PYTORCH_", "TORCH_"),
)
"""Beginnings of environment variables that choose devices, threads or kernels, and nothing else."""

SHOWN = 6
"""Flags, files or classes that are named; the rest is counted."""


def data(then: Part, now: Part) -> Found:
    """Compare the splits: what a person can see of them first, then their whole content.

    One that only one of the records has is a difference.
    """
    for split in sorted({*then} ^ {*now}):
        before, after = (_short(one[split]["sha256"]) if split in one else "not there" for one in (then, now))
        yield split, before, after, False
    for split in _both(then, now):
        before, after = then[split], now[split]
        for key in _differing(before, after):
            if key == "class_counts":
                yield f"{split} classes", *_changed(before[key], after[key]), False
            elif key == "sha256":
                yield f"{split} content", _short(before[key]), _short(after[key]), False
            else:
                yield f"{split} {key}", _text(before[key]), _text(after[key]), False


def weights(then: Part, now: Part) -> Found:
    """Compare the files of weights that the networks began with."""
    if then.get("sha256") != now.get("sha256"):
        before, after = (f"{one.get('file')} {_short(one.get('sha256', ''))}" for one in (then, now))
        yield "weights to begin with", before, after, False


def config(then: str, now: str) -> Found:
    """Compare the hashes of the resolved configs."""
    yield "resolved config", _short(then), _short(now), False


def seeds(then: Part, now: Part) -> Found:
    """Compare the seeds."""
    for key in _differing(then, now):
        yield key.replace("_", " "), _text(then[key]), _text(now[key]), False


def code(then: Part, now: Part) -> Found:
    """Compare the trees of the commits, the changes made to them, and the untracked files."""
    if then.get("tree") != now.get("tree"):
        yield "commit", _commit(then), _commit(now), False
    if not (then.get("tree") and now.get("tree")):
        return  # one of them tells nothing of changes and files
    if then.get("patch_sha256") != now.get("patch_sha256"):
        yield "uncommitted changes", _patch(then), _patch(now), False
    before, after = then.get("untracked") or {}, now.get("untracked") or {}
    if before != after:
        yield "untracked files", *_changed(_shortened(before), _shortened(after)), False


def threads(then: Part, now: Part) -> Found:
    """Compare the numbers of threads: another number adds floats in another order."""
    for key in _differing(then, now):
        yield "threads" if key == "training" else f"{key} threads", _text(then[key]), _text(now[key]), True


def devices(then: int, now: int) -> Found:
    """Compare the numbers of devices that batches are divided among: another adds floats in another order."""
    yield "GPUs that divide a batch", str(then), str(now), True


def hardware(then: Part, now: Part) -> Found:
    """Compare CPU and GPUs; of the CPU's flags, those that only one of the two has."""
    before, after = then.get("cpu") or {}, now.get("cpu") or {}
    for key in _differing(before, after):
        if key == "flags":
            only_then, only_now = set(before[key]) - set(after[key]), set(after[key]) - set(before[key])
            yield "CPU flags", _listed(sorted(only_then)), _listed(sorted(only_now)), True
        else:
            yield f"CPU {key}", _text(before[key]), _text(after[key]), True
    if "gpus" in _both(then, now):
        yield from _gpus(then["gpus"], now["gpus"])


INSTALLERS = ("pip", "setuptools", "uv", "wheel")
"""Packages that install the others; an environment can do without them."""


def tensorflow(then: Part, now: Part) -> Found:
    """Compare version, build and whether oneDNN computes."""
    differing = _differing(then, now)
    names = {"version": "TensorFlow", "onednn": "oneDNN", "git_version": "TensorFlow's commit"}
    for key, what in names.items():
        # Every version has another commit.
        if key in differing and not (key == "git_version" and "version" in differing):
            yield what, _text(then[key]), _text(now[key]), True
    before, after = then.get("build") or {}, now.get("build") or {}
    for key in _differing(before, after):
        yield key.replace("_", " "), _text(before[key]), _text(after[key]), True


def numeric_packages(then: Part, now: Part) -> Found:
    """Compare the versions of the packages that compute."""
    for name, before, after in _differing_or_absent(then, now, "not installed"):
        if _computes(name):
            yield name, before, after, True


def other_packages(then: Part, now: Part) -> Found:
    """Compare the versions of all other packages."""
    for name, before, after in _differing_or_absent(then, now, "not installed"):
        if not _computes(name) and name not in INSTALLERS:
            yield name, before, after, False


def environment(then: Part, now: Part) -> Found:
    """Compare the environment variables, the numeric ones first."""
    found = list(_differing_or_absent(then, now, "not set"))
    for name, before, after in sorted(found, key=lambda one: not one[0].startswith(NUMERIC_VARIABLES)):
        yield name, before, after, name.startswith(NUMERIC_VARIABLES)


def python(then: Part, now: Part) -> Found:
    """Compare Python's version and implementation."""
    for key in _differing(then, now):
        yield "Python" if key == "version" else key, _text(then[key]), _text(now[key]), False


def system(then: Part, now: Part) -> Found:
    """Compare the operating system and the kind of machine, which has float instructions of its own."""
    for key in _differing(then, now):
        what = "operating system" if key == "os" else key
        yield what, _text(then[key]), _text(now[key]), key == "machine"


def _gpus(then: Sequence[Part], now: Sequence[Part]) -> Found:
    for key, what in (("name", "GPU"), ("driver", "GPU driver"), ("memory_bytes", "GPU memory")):
        before, after = ([str(gpu.get(key)) for gpu in gpus] for gpus in (then, now))
        if before != after:
            yield what, _listed(before), _listed(after), True
        if len(before) != len(after):
            return  # their names have said it


def _computes(name: str) -> bool:
    return name in NUMERIC_PACKAGES or name.startswith(NVIDIA_LIBRARIES)


def _both(then: Part, now: Part) -> list[str]:
    return [key for key in then if then[key] is not None and now.get(key) is not None]


def _differing(then: Part, now: Part) -> list[str]:
    return [key for key in _both(then, now) if then[key] != now[key]]


def _differing_or_absent(then: Part, now: Part, absent: str) -> Iterator[tuple[str, str, str]]:
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            yield key, _text(then.get(key, absent)), _text(now.get(key, absent))


def _commit(part: Part) -> str:
    return _short(part.get("commit") or part.get("tree") or "not recorded")


def _patch(part: Part) -> str:
    return _short(part.get("patch_sha256") or "none")


def _shortened(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: _short(hash_) for name, hash_ in hashes.items()}


def _short(hash_: str) -> str:
    return str(hash_)[:12]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return str(value)


def _changed(then: Part, now: Part) -> tuple[str, str]:
    """Return what each has where they differ, as `key value, ...`."""
    keys = [key for key in sorted({*then, *now}) if then.get(key) != now.get(key)]
    before, after = ([f"{key} {one[key]}" for key in keys if key in one] for one in (then, now))
    return _listed(before), _listed(after)


def _listed(names: Collection[str]) -> str:
    return listed(list(names), SHOWN) or "none"
