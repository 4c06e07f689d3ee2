import pytest

from runback.system.secrecy import redacted, secret_key, secret_variable
from runback.system.secrecy.config_secrets import masked

SECRETS = """
model.api_key data.password db.dsn hf_token auth_token client_secret aws_secret_access_key
connection_string passphrase private_key credentials token apiKey clientSecret AccountKey SharedAccessKey
X-Api-Key Authorization Set-Cookie openai_key dbpassword db_pass a.password.x access_key_id PGPASSWORD
accessToken token2 conn_str private_key_pem secret_key_base webhook_url basic_auth encryption_key
GITHUB_PAT db.pwd ssh_key dbpass dbpwd rootpw bindpw passwort aes_key kms_key psk totp_seed hmackey
bottoken db.pw
"""

HARMLESS = """
tokenizer num_tokens max_tokens author keypoints passes label_key monkey bypass secretary token_count
pad_token eos_token public_key primary_key sort_key keys key keyboard authority passive compass
password_file tokens tokenize token_type auth_type pattern patience forward_pass seed passenger donkey
turkey key_dim num_key query_key crypto spat pw_kernel pw_conv lowpass highpass bandpass compass random_seed
"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_a_secret_is_known_by_the_words_of_its_key(name):
    assert secret_key(name, "abc1")


@pytest.mark.parametrize("name", HARMLESS.split())
def test_a_part_of_a_word_is_no_word(name):
    assert not secret_key(name, "abc1")


def test_numbers_are_secret_only_where_the_name_leaves_no_doubt():
    assert secret_key("db.password", 482109)
    assert not secret_key("token", 5)
    assert secret_key("bot_token", 1234567890)
    assert not secret_key("token", 1e12)
    assert not secret_key("password", None)
    assert not secret_key("password", True)


@pytest.mark.parametrize(
    "name", ["TF_API_TOKEN", "KERAS_PASSWORD", "NVIDIA_API_KEY", "TF_SECRET", "tf_auth", "OMP_CREDENTIALS"]
)
def test_a_secret_variable_is_known_by_its_name(name):
    assert secret_variable(name)


def test_other_variables_are_none():
    assert not any(secret_variable(n) for n in ("TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "KERAS_BACKEND"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("token", "cls"), ("patch_token", "mean"), ("auth", "none"), ("cookie_cutter", "round")],
        *[("secret_sauce_dropout", 0.1), ("pw", 3), ("pool.token", "first_last"), ("psk", "bpsk")],
    ],
)
def test_plain_words_and_numbers_are_no_secrets_under_ambiguous_names(name, value):
    assert not secret_key(name, value)
    assert redacted(f"{name}: {value}\n{name}={value}") == f"{name}: {value}\n{name}={value}"
    assert masked({name: value}) == ({name: value}, [])
