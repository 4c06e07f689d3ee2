import pytest

from runback.secrecy import redacted, secret_file, secret_variable, without_credentials


@pytest.mark.parametrize(
    "path",
    [
        *(".env", "a/.env", ".ENV", ".env.production", "prod.env", ".envrc", "key.pem", "tls/server.key"),
        *("id_rsa", "id_ed25519", "id_rsa.old", ".netrc", ".pypirc", ".aws/config", "home/.ssh/known_hosts"),
        *(
            "credentials.json",
            "conf/my-credentials.yaml",
            "client_secret_1.json",
            "secrets.toml",
            "Secrets.yml",
        ),
    ],
)
def test_a_secret_is_known_by_its_name(path):
    assert secret_file(path)


@pytest.mark.parametrize(
    "path",
    [
        *("train.py", "environment.py", "environment.yml", "tokenizer.json", "keys.py", "secret.py"),
        *("keyboard.csv", "envs/a.py", "openssh/config", "credentials.py", "pem.txt", "monkey"),
    ],
)
def test_code_is_no_secret(path):
    assert not secret_file(path)


@pytest.mark.parametrize(
    "name", ["TF_API_TOKEN", "KERAS_PASSWORD", "NVIDIA_API_KEY", "TF_SECRET", "tf_auth", "OMP_CREDENTIALS"]
)
def test_a_secret_variable_is_known_by_its_name(name):
    assert secret_variable(name)


def test_other_variables_are_none():
    assert not any(secret_variable(n) for n in ("TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "KERAS_BACKEND"))


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git@host.example:group/project.git", "git@host.example:group/project.git"),
        ("ssh://git@host.example/project.git", "ssh://host.example/project.git"),
        ("https://token@host.example/p", "https://host.example/p"),
        ("https://me:p@ss@host.example/p", "https://host.example/p"),
        ("../elsewhere", "../elsewhere"),
        ("/srv/git/project.git", "/srv/git/project.git"),
    ],
)
def test_each_form_of_a_remote(url, shown):
    assert without_credentials(url) == shown
