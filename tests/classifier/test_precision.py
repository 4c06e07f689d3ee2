import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runback.classifier import precision, training_task
from runback.classifier.precision import fast_precision, precision_line, with_precision
from runback.classifier.train_config import GROUPS, PRECISIONS, TrainingConfig
from runback.errors import InputError


@pytest.fixture
def machine(monkeypatch):
    """Make this machine one with these flags and GPUs."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)

    def become(flags=(), capabilities=()):
        monkeypatch.setattr(precision, "cpu", lambda: {"model": "one", "flags": list(flags)})
        monkeypatch.setattr(precision, "compute_capabilities", lambda: list(capabilities))

    become()
    return become


@pytest.mark.parametrize(
    ("flags", "capabilities", "expected", "reason"),
    [
        (["avx2", "avx512f"], [], "float32", "the processor does not compute bfloat16 fast"),
        (["avx2", "avx512_bf16"], [], "mixed_bfloat16", r"\(avx512_bf16\)"),
        (["amx_bf16", "amx_tile", "avx512_bf16"], [], "mixed_bfloat16", r"\(amx_bf16\)"),
        (["asimd", "bf16"], [], "mixed_bfloat16", r"\(bf16\)"),
        (["avx512_bf16"], [(7, 5)], "float32", "the GPU does not .* 7.5, 8.0 does"),
        (["avx2"], [(8, 0)], "mixed_bfloat16", "the GPU computes bfloat16 fast .* 8.0"),
        (["avx2"], [(10, 0), (9, 0)], "mixed_bfloat16", "capability 9.0"),
        (["avx2"], [(9, 0), (7, 0)], "float32", "capability 7.0"),
    ],
)
def test_bfloat16_is_taken_where_the_machine_computes_it_fast(machine, flags, capabilities, expected, reason):
    machine(flags, capabilities)
    found, because = fast_precision()
    assert found == expected
    assert re.search(reason, because)


def test_the_processors_bfloat16_is_not_fast_without_its_library(machine, monkeypatch):
    machine(["avx512_bf16"])
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert fast_precision()[0] == "float32"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    assert fast_precision()[0] == "mixed_bfloat16"


@pytest.mark.parametrize("named", [*PRECISIONS, "${other}", "???"])
def test_a_precision_that_is_named_is_trained_in_on_every_machine(machine, named):
    machine(["avx512_bf16"])
    cfg = OmegaConf.create({"training": {"precision": named}, "other": "float32"})
    assert with_precision(cfg) is cfg


def test_auto_is_replaced_by_what_it_becomes_and_the_config_given_stays(machine):
    machine(["avx512_bf16"])
    cfg = OmegaConf.create({"training": {"precision": "${other}", "epochs": 3}, "other": "auto"})
    changed = with_precision(cfg)
    assert changed.training == {"precision": "mixed_bfloat16", "epochs": 3}
    assert cfg.training.precision == "auto"


@pytest.mark.parametrize(("flags", "expected"), [((), "float32"), (("bf16",), "mixed_bfloat16")])
def test_a_task_is_trained_and_recorded_in_what_auto_becomes(machine, flags, expected):
    machine(flags)
    cfg = OmegaConf.create(
        {
            "seed": 0,
            "training": {"precision": "auto"},
            "tracking": {},
            **{key: {} for key in GROUPS},
            "run": {},
        }
    )
    assert training_task.resolve(cfg, Path("/")).training.precision == expected


@pytest.mark.parametrize(
    ("flags", "trained", "said"),
    [
        (["bf16"], "mixed_bfloat16", "mixed_bfloat16; the processor computes bfloat16 fast (bf16)"),
        ([], "mixed_bfloat16", "mixed_bfloat16; the processor does not compute bfloat16 fast"),
        ([], "float32", "float32; the processor does not compute bfloat16 fast"),
        (
            ["amx_bf16"],
            "float32",
            "float32; training.precision=auto takes mixed_bfloat16 here: "
            "the processor computes bfloat16 fast (amx_bf16)",
        ),
        (["amx_bf16"], "mixed_float16", "mixed_float16"),
    ],
)
def test_the_precision_is_said_with_what_the_machine_can(machine, flags, trained, said):
    machine(flags)
    assert precision_line(trained) == f"  precision: {said}"


@pytest.mark.parametrize("wrong", ["automatic", "AUTO", "bfloat16", ""])
def test_an_unknown_precision_is_refused_with_those_that_there_are(wrong):
    with pytest.raises(InputError, match="one of auto, float32, mixed_bfloat16, mixed_float16; got"):
        TrainingConfig(precision=wrong)


def test_auto_is_a_precision_that_a_config_may_have():
    assert TrainingConfig(precision="auto").precision == "auto"
