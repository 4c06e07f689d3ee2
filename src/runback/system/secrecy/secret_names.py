"""Tells the names of secrets from others: by the words of a name, never by parts of words."""

import functools
import re
from itertools import pairwise


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


STRONG = word_set(
    "password passwords passwd passphrase passphrases passcode passkey passwort passworts pwd secret secrets "
    "credential credentials cred creds dsn apikey apikeys apitoken appkey accesskey secretkey "
    "privatekey authkey accountkey authtoken accesstoken refreshtoken clientsecret apisecret "
    "connstr connectionstring authorization cookie cookies mnemonic webhook jwt netrc"
)
"""Words whose value is secret, whatever it is; before other words only where it looks like one."""

WEAK = word_set("token pass pw psk auth bearer pat oauth otp")
"""Words whose value is secret at the end of a name, and only where it looks like one."""

KEYS = word_set(
    "access account activation admin aes anthropic api app application auth aws azure client consumer "
    "cryptography crypt datadog deploy deployment encryption fernet function gcp github gitlab "
    "google gpg hf hmac huggingface jwt kaggle kms license licence llm master minio openai pgp private "
    "rsa s3 secret sentry server service session shared sharedaccess sign signing ssh ssl storage "
    "stripe subscription super tls user wandb webhook"
)
"""Words that make a secret of a `key` after them: an `api_key` is one, a `label_key` is none."""

COMPOUNDS = frozenset(
    {
        *[("connection", last) for last in ("string", "str", "uri", "url")],
        *[("conn", last) for last in ("string", "str", "uri", "url")],
        *[("access", last) for last in ("signature", "tokens", "keys")],
        *[(first, "tokens") for first in ("api", "auth", "refresh", "bearer", "secret", "session", "bot")],
        *[("api", "keys"), ("private", "keys"), ("secret", "keys"), ("sas", "url"), ("sas", "uri")],
        *[("recovery", last) for last in ("code", "codes", "phrase")],
        *[
            ("seed", "phrase"),
            ("totp", "seed"),
            ("otp", "seed"),
            ("wallet", "seed"),
            ("backup", "codes"),
            ("basic", "auth"),
            ("user", "pass"),
            ("webhook", "url"),
        ],
    }
)
"""Pairs of words whose value is secret."""

NOT_BEFORE = word_set(
    "all band bos by class cls count eos end fill first forward backward high image infix last low "
    "mask max min middle multi n next no num number oov one pad padding per prefix prev previous "
    "sep separator single special start stop suffix text two unk unknown vocab word"
)
"""Words before a weak one that make it another thing: `pad_token`, `forward_pass`."""

ABOUT = word_set(
    "algorithm attribute backend class column count dim dir dirs directory embedding embeddings "
    "enabled env environment error exception expired expires expiry factory field file filename "
    "files folder format func function handler hint index init invalid kind len length lengths "
    "limit manager max method min missing mode model module name names needed needs optional "
    "parser path paths pattern policy position prompt provider regex required rotation rounds "
    "rules scheme scope shape size source store strength time timeout ttl type types usage valid "
    "var variable variables warning width"
)
"""Last words that tell something about a secret, which is none itself: `token_limit`, `password_file`."""

NEUTRAL = word_set(
    "base64 b64 backup bytes current default dev encoded live new old plain plaintext primary prod "
    "production raw secondary staging str string stg test text val value values"
)
"""Last words that change nothing: `token_value`, `DB_PASSWORD_2`."""

NO_SECRETS = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM"})
"""Environment variables of every machine that only sound like it."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GLUED = re.compile(
    r"\w{1,40}(?:password|passwd|passphrase|passwort|apikey|secretkey|accesstoken|authtoken|clientsecret)|"
    r"(?:admin|app|bind|bot|db|ftp|ldap|login|mail|mysql|pg|redis|root|smtp|ssh|sudo|user|wifi)"
    r"(?:pass|pwd?|token)|"
    r"(?:aes|api|auth|hmac|kms|master|rsa|ssh)keys?"
)
_PLAIN_WORD = re.compile(r"[a-z]{1,12}(?:_[a-z]{1,12})?")

LONG = 10**8
"""A whole number from which on it may be a token that consists of digits."""


def words(name: str) -> list[str]:
    """Return a name's words in lower case, divided at signs, at changes of case, and at digits.

    >>> words("AWS_secretAccess-key2")
    ['aws', 'secret', 'access', 'key', '2']
    """
    return [word.lower() for word in _WORD.findall(name)]


def secret_key(name: str, value: object = "") -> bool:
    """Say whether a key of a config, or any part of a dotted one, names a secret that `value` can be.

    Of ambiguous names, as `token`, only what looks like a secret is one: no plain word, no short number. Yes,
    no and nothing are never.
    """
    if value is None or isinstance(value, bool):
        return False
    kinds = [_kind(part) for part in name.split(".")]
    return "strong" in kinds or ("weak" in kinds and not is_plain(value))


def is_plain(value: object) -> bool:
    """Say whether a value is a plain word, or a number that is no long whole one: hardly a secret."""
    if isinstance(value, int | float):
        return not (isinstance(value, int) and abs(value) >= LONG)
    return isinstance(value, str) and _PLAIN_WORD.fullmatch(value) is not None


def secret_variable(name: str) -> bool:
    """Say whether an environment variable's name sounds as if its value were a secret: rather too often."""
    last = (words(name) or [""])[-1]
    is_key = last in ("key", "keys", "tokens", "signature") and name not in NO_SECRETS
    return is_key or _kind(name) is not None


def is_strong(name: str) -> bool:
    """Say whether a key leaves no doubt that its value is a secret."""
    return any(_kind(part) == "strong" for part in name.split("."))


@functools.lru_cache(8192)
def _kind(name: str) -> str | None:
    """Return `strong`, `weak`, or None for a name that is none of a secret."""
    parts = words(name[:200])
    if name in NO_SECRETS:
        return None
    if _holds_compound(parts):
        return "strong"
    while len(parts) > 1 and (parts[-1] in NEUTRAL or parts[-1].isdigit()):
        parts.pop()
    if not parts or (len(parts) > 1 and parts[-1] in ABOUT):
        return None
    is_weak = parts[-1] in WEAK and not (len(parts) > 1 and parts[-2] in NOT_BEFORE)
    holds_strong = not STRONG.isdisjoint(parts)
    if parts[-1] in STRONG or (holds_strong and is_weak) or _GLUED.fullmatch(parts[-1]) or _holds_key(parts):
        return "strong"
    return "weak" if is_weak or holds_strong else None


def _holds_key(parts: list[str]) -> bool:
    pairs = pairwise(parts)
    return any(word in ("key", "keys") and before in KEYS for before, word in pairs)


def _holds_compound(parts: list[str]) -> bool:
    return any(pair in COMPOUNDS for pair in pairwise(parts))
