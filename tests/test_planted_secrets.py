"""Secrets planted wherever a person may put one: none is in what commands write, or say."""

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CHANCE = "q7Xw2Lm9Zt4Rb8Vn3Kc6"

SECRETS = {
    "override": "plnt-01-key",
    "override with a space": "plnt 02 phrase",
    "override in a mapping": "plnt03secret",
    "override with ++": "plnt/04:+token",
    "override in a list under credentials": "plnt-05-listed",
    "number": "4821097706",
    "password in an address that is overridden": "plnt/07@x",
    "variable read as a whole": "plnt-08-auth",
    "password with slashes in a variable": "plnt/09/dsn",
    "variable beside a default": "plnt-10-default",
    "variable that nothing reads": "plnt-11-service",
    "printed as JSON": "plnt-12-json",
    "printed as YAML": "plnt-13-yaml",
    "printed behind Bearer": "plnt-14-bearer",
    "printed in an address": "plnt/15/url",
    "printed private key": f"MIIplnt16{CHANCE}",
    "printed token of AWS": "AKIA" + "PLNT17ABCDEFGHIJ",
    "printed token of GitHub": f"ghp_plnt18{CHANCE}",
    "printed token of Hugging Face": f"hf_plnt19{CHANCE}",
    "raised as key=value": "plnt-20-raised",
    "raised token": f"sk-plnt21{CHANCE}",
    "token.txt": "plnt-22-file",
    ".docker/config.json": "plnt-23-docker",
    "deploy_rsa": "plnt-24-rsa",
    "terraform.tfstate": "plnt-25-state",
    "service-account.json": "plnt-26-account",
    ".bash_history": "plnt-27-history",
    "token in notes": f"glpat-plnt28{CHANCE}",
    "password in settings": "plnt-29-settings",
    "key in code": f"sk-ant-plnt30{CHANCE}",
    "private key in a file of any name": f"MIIplnt31{CHANCE}",
    "key in a tracked file's change": f"npm_plnt32{CHANCE}{CHANCE}",
    "password of the remote": "plnt-33-remote",
    "sweep's file": "plnt-34-sweep",
    "sweep's override": "plnt-35-swept",
    "sweep's param": "plnt-36-param",
    "password of the store": "plnt-37-store",
    "environment of a job": "plnt-38-jobenv",
}

NETS = """
import os

import keras


def build(input_shape, num_classes, *, fail=False, **secrets):
    from printed import LINES

    print(LINES, flush=True)
    print("service", os.environ["MY_SERVICE_TOKEN"], "and", secrets.get("dsn"))
    from runback.sweeping.trials.trial import current

    client = current()
    if fail and (client is None or client.trial.number >= 0):  # not in the check before the first trial
        raise RuntimeError(RAISED.replace("KEY", str(secrets.get("api_key"))))
    image = keras.Input(input_shape)
    hidden = keras.layers.Dense(4)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(num_classes, "softmax")(hidden))


RAISED = open(os.environ["PRINTED"] + "/raised").read()
"""

PRINTED = """
import os

LINES = open(os.environ["PRINTED"] + "/lines").read()
"""


def _private_key(body: str) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"


LINES = f"""{{"user": "me", "password": "{SECRETS["printed as JSON"]}"}}
api_key: {SECRETS["printed as YAML"]}
Authorization: Bearer {SECRETS["printed behind Bearer"]}
connecting to postgresql://me:{SECRETS["printed in an address"]}@db.example/x
{_private_key(SECRETS["printed private key"])}
keys {SECRETS["printed token of AWS"]}, {SECRETS["printed token of GitHub"]}
and {SECRETS["printed token of Hugging Face"]}
"""

RAISED = f"no login for KEY: password={SECRETS['raised as key=value']}, tried {SECRETS['raised token']}"

SWEEP = f"""# @package _global_
defaults:
  - override /model: own
hydra:
  sweeper:
    n_trials: 2
    n_workers: 1
    sampler: {{_target_: runback.sweeping.space.grid.points}}
    params:
      model.fail: choice(false,true)
      model.hf_token: {SECRETS["sweep's param"]}
model:
  client_secret: {SECRETS["sweep's file"]}
  fail: false
  hf_token: null
training: {{epochs: 1, threads: 1}}
data: {{limit: 60}}
"""

UNTRACKED = {
    "token.txt": SECRETS["token.txt"],
    ".docker/config.json": f'{{"auths": {{"hub": {{"auth": "{SECRETS[".docker/config.json"]}"}}}}}}',
    "deploy_rsa": SECRETS["deploy_rsa"],
    "terraform.tfstate": f'{{"outputs": "{SECRETS["terraform.tfstate"]}"}}',
    "service-account.json": f'{{"id": "{SECRETS["service-account.json"]}"}}',
    ".bash_history": f"curl -u me:{SECRETS['.bash_history']} x",
    "notes.md": f"Use {SECRETS['token in notes']} for now.",
    "settings.yaml": f"db:\n  password: {SECRETS['password in settings']}\n",
    "client.py": f'API = "{SECRETS["key in code"]}"\n',
    "blob.bin": "\0\1" + _private_key(SECRETS["private key in a file of any name"]),
    "sweeps/own.yaml": SWEEP,
    "harmless.py": "token = 'x'.join(tokenizer(text))\n",
}

OVERRIDES = (
    "model=own",
    f"+model.api_key={SECRETS['override']}",
    f'+model.passphrase="{SECRETS["override with a space"]}"',
    f"+model.login={{client_secret:{SECRETS['override in a mapping']}}}",
    f"++model.deep.access_token='{SECRETS['override with ++']}'",
    f"+model.credentials=[me,{SECRETS['override in a list under credentials']}]",
    f"+model.password={SECRETS['number']}",
    f"+model.address='https://me:{SECRETS['password in an address that is overridden']}@host.example/x'",
    "+model.auth='${oc.env:MY_AUTH}'",
    "+model.dsn='${oc.env:MY_DSN}'",
    f"+model.other='${{oc.env:OTHER_TOKEN,{SECRETS['variable beside a default']}}}'",
    f"+hydra.job.env_set.JOB_TOKEN={SECRETS['environment of a job']}",
)

SMALL = ("training.epochs=1", "training.threads=1", "data.limit=60")


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class Planted:
    """A project after its commands, and what they said."""

    project: object
    said: dict[str, str]
    codes: dict[str, int]


@pytest.fixture(scope="module")
def planted(module_project, tmp_path_factory) -> Planted:
    folder = module_project.folder
    _make_repository(folder)
    printed = tmp_path_factory.mktemp("printed")
    (printed / "lines").write_text(LINES)
    (printed / "raised").write_text(RAISED)
    env = {
        "PRINTED": str(printed),
        "MY_AUTH": SECRETS["variable read as a whole"],
        "MY_DSN": f"postgresql://me:{SECRETS['password with slashes in a variable']}@db.example/x",
        "MY_SERVICE_TOKEN": SECRETS["variable that nothing reads"],
    }
    commands = {
        "train": ("train", *OVERRIDES, *SMALL),
        "config": ("train", *OVERRIDES, *SMALL, "--cfg", "all"),
        "failing train": ("train", *OVERRIDES, *SMALL, "+model.fail=true"),
        "sweep": ("sweep", "own", f"+model.private_key={SECRETS['sweep' + chr(39) + 's override']}"),
    }
    said, codes = {}, {}
    for name, arguments in commands.items():
        done = module_project.run(*arguments, **env)
        said[name], codes[name] = done.stdout + done.stderr, done.returncode
    run_id = said["train"].split("run ")[-1].split()[0]
    uri = f"postgresql://me:{SECRETS['password of the store']}@127.0.0.1:1/x"
    last = {
        "export": (("export", run_id, "mlruns/run.zip"), env),
        "store": (("train", *SMALL), {**env, "MLFLOW_TRACKING_URI": uri}),
        "reproduce": (("reproduce", run_id, "--in-place"), env),
    }
    for name, (arguments, variables) in last.items():
        done = module_project.run(*arguments, **variables)
        said[name], codes[name] = done.stdout + done.stderr, done.returncode
    return Planted(module_project, said, codes)


def _make_repository(folder: Path) -> None:
    for name in ("conf", "sweeps"):
        (folder / name).unlink()
        shutil.copytree(ROOT / name, folder / name)
    (folder / "pyproject.toml").write_text('[tool.runback]\nmodules = ["nets"]\n')
    (folder / ".gitignore").write_text("mlruns/\n__pycache__/\n")
    (folder / "nets.py").write_text(NETS)
    (folder / "printed.py").write_text(PRINTED)
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "conf" / "model" / "own.yaml").write_text("_target_: nets.build\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    git(
        folder,
        "remote",
        "add",
        "origin",
        f"https://me:{SECRETS['password of the remote']}@host.example/p.git",
    )
    (folder / "helper.py").write_text(f'NPM = "{SECRETS["key in a tracked file" + chr(39) + "s change"]}"\n')
    for name, text in UNTRACKED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_the_commands_do_what_they_do_without_secrets(planted):
    assert planted.codes == {
        **{"train": 0, "config": 0, "failing train": 1, "sweep": 0, "export": 0, "store": 2, "reproduce": 2}
    }, planted.said
    assert "***" in planted.said["train"]
    assert "RuntimeError: no login for ***: password=***" in planted.said["failing train"]
    assert "model.api_key" in planted.said["reproduce"]
    assert "${oc.env:NAME}" in planted.said["reproduce"]


@pytest.mark.parametrize("where", SECRETS)
def test_no_secret_is_said(planted, where):
    found = [command for command, said in planted.said.items() if SECRETS[where] in said]
    assert found == []


def test_no_secret_is_written(planted):
    kept = dict(_files(planted.project.folder / "mlruns"))
    assert len(kept) > 100
    found = [
        (where, name)
        for name, content in kept.items()
        for where, secret in SECRETS.items()
        if secret.encode() in content or secret in name
    ]
    assert found == []


def test_what_is_left_out_is_named_and_code_is_not(planted):
    record = next((planted.project.folder / "mlruns").glob("artifacts/*/*/artifacts/record/record.json"))
    code = json.loads(record.read_text())["code"]
    left_out = {one["path"] for one in code["left_out"]}
    assert left_out == {*UNTRACKED, "helper.py"} - {"harmless.py"}
    assert set(code["untracked"]) == {"harmless.py"}


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Return all files below a folder by name, those within zips too."""
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            yield from _unpacked(str(path.relative_to(folder)), path.read_bytes())


def _unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                yield from _unpacked(f"{name}!{entry}", archive.read(entry))
