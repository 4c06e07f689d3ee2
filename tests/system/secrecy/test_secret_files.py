import pytest

from runback.system.secrecy import secret_file
from runback.system.secrecy.secret_files import secret_content

CHANCE = "q7Xw2Lm9Zt4Rb8Vn3Kc6"


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


NAMES = """
.docker/config.json .kube/config service-account.json terraform.tfstate token.txt deploy_rsa
.bash_history .config/gcloud/x .boto .s3cfg .dockercfg a.tfvars x_ed25519 .python_history .vault-token
.my.cnf kaggle.json .huggingface/token .cache/huggingface/token a.ovpn a.asc a.gpg cookies.txt
cookies.sqlite .terraform/x secrets/x a.pkcs12 a.mobileprovision .wgetrc .curlrc rclone.conf
.streamlit/secrets.toml api_key.txt API-KEY.txt Token.TXT my-service-account-prod.json
serviceAccountKey.json auth.json passwords.csv hf_token backup/ID_RSA password.txt
terraform.tfstate.backup access_token .psql_history
"""

CODE = """
tokens.py token.py test_token.py tokenizer_config.json special_tokens_map.json vocab.json history.json
history.csv author.txt secretary.txt keypoints.json data/labels.csv conf/model/own.yaml
secrets/__init__.py secrets/vault.py tokens.txt key.txt passes.csv compass.json monkey.txt
"""


@pytest.mark.parametrize("path", NAMES.split())
def test_what_tools_keep_secrets_in_is_known_by_its_name(path):
    assert secret_file(path)


@pytest.mark.parametrize("path", CODE.split())
def test_what_only_sounds_like_a_secret_is_none(path):
    assert not secret_file(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", f'API_KEY = "sk-{CHANCE}1"'),
        ("a.py", f'SECRET_KEY = "{CHANCE}"'),
        ("n.ipynb", f'"api_key = \\"{CHANCE}\\""'),
        ("run.sh", f"export DB_PASSWORD={CHANCE}"),
        ("notes.txt", f"it is ghp_{CHANCE}{CHANCE}"),
        ("x.cfg", f"aws_secret_access_key = {CHANCE}/EXAMPLE"),
        ("x.json", '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvgIBADANBg"}'),
        ("key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n"),
        ("db.yaml", "db:\n  password: hunter2\n"),
        ("db.yaml", "dsn: postgres://me:hun/ter2@host/db"),
        ("binary", "\0\1\2" + f"glpat-{CHANCE}" + "\0"),
    ],
)
def test_content_that_looks_like_a_secret_is_seen(name, content):
    assert secret_content(content.encode(), name) is not None


def test_text_in_utf_16_is_read_too():
    assert secret_content(f"token: ghp_{CHANCE}{CHANCE}".encode("utf-16"), "a.txt") is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", "token = tokenizer(x)\npassword = getpass()\nkey = os.environ['API_KEY']\n"),
        ("a.py", "def f(password: str = 'password', max_tokens=100000, pad_token='<pad>'): ...\n"),
        ("a.py", "if '-----BEGIN PRIVATE KEY-----' in text: ...\n"),
        ("a.py", "url = 'https://me:password@host'\n"),
        ("a.yaml", "api_key: ${oc.env:KEY}\ntoken: <pad>\nauth: basic\nlearning_rate: 0.1\n"),
    ],
)
def test_code_and_configs_without_secrets_are_kept(name, content):
    assert secret_content(content.encode(), name) is None
