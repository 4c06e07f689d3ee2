"""The redactor, in both directions: what it has to hide, and what it has to leave alone."""

import time

import pytest
from omegaconf import OmegaConf

from runback.system.config.written_config import written
from runback.system.secrecy import redacted, remember

CHANCE = "q7Xw2Lm9Zt4Rb8Vn3Kc6"

NAMED = [
    '{"password": "QQQ"}',
    "{'api_key': 'QQQ'}",
    "api_key: QQQ",
    "token=QQQ",
    "--api-key QQQ run",
    "--token=QQQ",
    "['--api-key', 'QQQ']",
    "MY_TOKEN=QQQ",
    "export DB_PASSWORD=QQQ rest QQQ",
    "Authorization: Bearer QQQ1",
    "-H 'Authorization: token QQQ'",
    "Cookie: a=QQQ; b=QQQ",
    "Set-Cookie: sid=QQQ; Path=/",
    "X-Api-Key: QQQ",
    '"{\\"token\\": \\"QQQ\\"}"',
    "private_key: |\n  QQQ\n  QQQ\nx: 1",
    "credentials:\n  user: QQQ\n  list:\n    - QQQ\nx: 1",
    'password: "a\nQQQ"',
    "password='it\\'s QQQ'",
    "AccountName=x;AccountKey=QQQ==;Endpoint=y",
    "x?sig=QQQ&y=1",
    "x?X-Amz-Signature=QQQ&X-Amz-Date=2",
    "+model.api_key=QQQ",
    "model={api_key:QQQ,b:1}",
    "cannot read '++a.b.token=x QQQ'",
    "++a.b.token='x QQQ'",
    'Config(token="QQQ")',
    "('X-Api-Key', 'QQQ')",
    "<password>QQQ</password>",
    "curl -u me:QQQ http://x",
    'password = "QQQ"',
    'os.environ["MY_TOKEN"] = "QQQ"',
    "passwords: [QQQ, QQQ]",
    '"credentials": {"a": {"b": "QQQ"}}',
    "machine x login y password QQQ",
    'password = """QQQ"""',
    "db.password: QQQ QQQ",
    'token = b"QQQ"',
    "clientSecret: QQQ",
    "secret => 'QQQ'",
    "aws_secret_access_key = QQQ",
    "ValueError: login failed, password=QQQ",
    "Bearer QQQQQQQ",
    '"password":\n   "QQQ"',
    "- model.password=QQQ",
    "PGPASSWORD=QQQ psql",
    "SharedAccessSignature=sv=QQQ",
    "proxy-authorization: Basic QQQ",
    "Token: QQQ",
    'auth_token: "QQQ"',
    "api_key=QQQ)",
    "http://x/?a=1&token=QQQ",
    "my secret: QQQ",
    'dsn="postgres://a:QQQ@h"',
]
"""Texts in which QQQ is a secret, as its name says."""

TOKENS = [
    "AKIA" + "Q7XW2LM9ZT4RB8VN",
    f"ghp_{CHANCE}{CHANCE}",
    f"github_pat_{CHANCE}_{CHANCE}",
    f"glpat-{CHANCE}",
    f"xoxb-123-{CHANCE}",
    f"sk-{CHANCE}",
    f"sk-ant-api03-{CHANCE}",
    f"AIza{CHANCE}{CHANCE}",
    f"hf_{CHANCE}",
    f"npm_{CHANCE}{CHANCE}",
    f"pypi-AgE{CHANCE}",
    f"eyJ{CHANCE}.eyJ{CHANCE}.{CHANCE}",
    f"sk_live_{CHANCE}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CHANCE}\nabc=\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{CHANCE}\\n-----END OPENSSH PRIVATE KEY-----\\n",
]

HARMLESS = [
    "learning_rate=0.003",
    "token_count: 5",
    "num_tokens=512",
    "max_tokens: 100",
    "author: me",
    "the tokenizer: bert",
    'pad_token: "<pad>"',
    "label_key=label",
    "commit 4b19f43aabbccddeeff00112233445566778899aa",
    '  File "/a/token.py", line 3, in token\n    token = tokenizer(x)',
    'password = os.environ["X"]',
    "token=token, x",
    "def f(token: str, password: str | None = None):",
    "KeyError: 'token'",
    "/run/secrets/db: permission denied",
    "conf/secret.yaml: no YAML",
    "unexpected token: }",
    "basic authentication failed",
    "Basic usage of things",
    "use --token to set",
    "[--token TOKEN]",
    "--password",
    "${oc.env:MY_TOKEN}",
    "dsn: ${oc.env:MY_DSN}",
    "password: ${oc.env:PW}",
    "sk-learn is nice",
    "disk-usage-of-the-machine-is-high-1",
    "token: 5",
    "token=5",
    "token: None",
    "password=None",
    "monkey=abc",
    "sha256:abc key=3",
    "expected KEY=VALUE; got 'x'",
    '{"key": "value"}',
    "PWD=/home/me",
    "SSH_AUTH_SOCK=/tmp/x",
    "trial 3  code: ValueError: bad",
    "keras.layers.Dense(units=3, activation='relu')",
    "its name is one that secrets are kept under",
    "-----BEGIN CERTIFICATE-----\nabc",
    "tokens: [1,2]",
    "runback train model=shallow_cnn",
    "epoch 1/3  val_accuracy 0.91",
    "if password == other:",
    "self.token = self.make()",
    "AuthenticationError: wrong user",
    "auth: ok",
    "class_pass: x",
    "Mapping key: value",
    "primary key: id",
]

HOSTILE = [
    *("a=", "token", "token=", "secret={", 'token="\\', "a://", "a://b:", "@", "eyJ", " ", "-", "token:\n"),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "secret: |\n ",
        "secret:\n  a: b\n",
        "login x password ",
        "ghp_",
        "--token ",
    ),
    *(
        "?token",
        "<password>",
        "Bearer ",
        '("token", ',
        "'password=",
        ")",
        "\\",
        "x y ",
        "the token is a key; ",
    ),
]
"""What a text of a megabyte may consist of, over and over."""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        ("a=1 grpc://token@host:80,http://u:p@ss@other", "a=1 grpc://***@host:80,http://***@other"),
        ("http://host/?token=abc&x=1", "http://host/?token=***&x=1"),
        ("--xla_gpu_autotune_level=0", "--xla_gpu_autotune_level=0"),
        ("me@host", "me@host"),
    ],
)
def test_passwords_in_values_are_hidden(value, shown):
    assert redacted(value) == shown


@pytest.mark.parametrize("text", NAMED)
def test_what_a_name_says_to_be_secret_is_hidden(text):
    assert "QQQ" not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_known_by_its_form(token):
    assert CHANCE not in redacted(f"got {token} from there")
    assert redacted(f"got {token}, from there").startswith("got ***")


@pytest.mark.parametrize("text", [*NAMED, *TOKENS])
def test_hiding_again_changes_nothing(text):
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays(text):
    assert redacted(text) == text


def test_json_stays_json():
    assert (
        redacted('{"password": 482109, "token": "abc1", "n": 1}')
        == '{"password": "***", "token": "***", "n": 1}'
    )


@pytest.mark.parametrize(
    "piece",
    [
        *("token: ", "&token= ", "password: ", "password=***,", "token=***", "-eyJaaaa", "password=.", "&"),
        *("\r 10% it/s token=abc, loss=1", "password = $", "token=%s"),
    ],
)
def test_two_megabytes_of_hostile_text_on_one_line_take_no_time(piece):
    text = piece * (2**21 // len(piece))
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 30  # some seconds; what is quadratic takes many minutes


@pytest.mark.parametrize("begin", ["password: ", "x token=", "Cookie: a=", "x password="])
def test_of_a_very_long_secret_nothing_is_left(begin):
    assert redacted(f"{begin}{'q7Xw' * 5000}\nrest") == f"{begin.replace('a=', '')}***\nrest"


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_no_time(piece):
    text = "token=" + piece * (1_000_000 // len(piece))
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 3  # about 0.5 s; what is quadratic takes minutes


def test_a_known_secret_is_hidden_wherever_and_however_it_is_written():
    import base64
    import json
    from urllib.parse import quote

    value = 'it\'s "plänted"/13\n and more of it'
    remember(value)
    for form in (
        value,
        repr(value),
        json.dumps(value),
        quote(value),
        base64.b64encode(value.encode()).decode(),
    ):
        shown = redacted(f"so {form} it is")
        assert "nted" not in shown
        assert base64.b64encode(value.encode()).decode()[:20] not in shown
        assert shown.startswith("so ")


def test_each_line_of_a_known_secret_is_hidden():
    remember("first-secret-line\nsecond-secret-line")
    assert redacted("a second-secret-line b") == "a *** b"


def test_secrets_of_the_environment_are_known(monkeypatch, tmp_path):
    monkeypatch.setenv("PLANTED_TOKEN", "planted-by-the-environment")
    monkeypatch.setenv("PLANTED_KEY", str(tmp_path))
    monkeypatch.setenv("PLANTED_SECRET", "true")
    monkeypatch.setenv("PLANTED_URL", "redis://me:planted/in/address@host/0")
    assert redacted("x planted-by-the-environment y") == "x *** y"
    assert redacted(f"true {tmp_path}") == f"true {tmp_path}"
    assert redacted("x planted/in/address y") == "x *** y"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("LABEL_KEY", "optimizer"), ("SORT_KEY", "accuracy"), ("DB_PASSWORD", "stratified")],
        *[("GROUP_KEY", "efficient_net"), ("CLS_TOKEN", "first_token"), ("MODEL_KEY", "resnet50_v2")],
    ],
)
def test_a_plain_word_of_the_environment_is_no_secret(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert redacted(f"the {value} of it") == f"the {value} of it"


def test_names_that_the_config_uses_are_no_secrets(monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "planted_key_33")
    assert redacted("a planted_key_33") == "a ***"
    written(OmegaConf.create({"model": [{"planted_key_33": 1}]}))
    assert redacted("a planted_key_33") == "a planted_key_33"


def test_the_password_of_an_address_is_known_as_it_is_meant_too(monkeypatch):
    monkeypatch.setenv("PLANTED_ADDRESS", "postgres://bob:S3cret%40pw%2B1@host/db")
    monkeypatch.setenv("PLANTED_SECRET", "postgres://bob:0ther%40pw%2B2@host/db")
    for shown in ("S3cret@pw+1", "S3cret%40pw%2B1", "0ther@pw+2", "0ther%40pw%2B2"):
        assert redacted(f"login with '{shown}' refused") == "login with '***' refused"
