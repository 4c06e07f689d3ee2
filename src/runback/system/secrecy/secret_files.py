"""Files that hold secrets: known by their names, or by what is in them."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from runback.system.secrecy.named_secrets import is_placeholder
from runback.system.secrecy.secret_formats import holds_token
from runback.system.secrecy.secret_names import is_strong, secret_key, secret_variable, word_set, words
from runback.system.secrecy.secret_values import holds_secret_value, is_random
from runback.system.secrecy.url_secrets import password_in

FILES = (
    *(".env", ".env.*", "*.env", ".envrc", ".flaskenv", "*.tfvars", "*.tfvars.json", "*.auto.tfvars*"),
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs8", "*.pkcs12", "*.jks", "*.keystore", "*.bks"),
    *("*.kdb", "*.kdbx", "*.ppk", "*.asc", "*.gpg", "*.pgp", "*.age", "*.ovpn", "*.agekey", "*.keytab"),
    *("*.mobileprovision", "*.provisionprofile", "*.keychain", "*.keychain-db", "*.agilekeychain", "*.jceks"),
    *("*_rsa", "*_dsa", "*_ecdsa", "*_ed25519", "*_ed25519_sk", "*_ecdsa_sk", "*.tfstate", "*.tfstate.*"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.rdp", "*.psafe3", "*.opvault", "*.wallet"),
    *(".netrc", "_netrc", ".pgpass", "pgpass.conf", ".pypirc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".gemrc"),
    *(".git-credentials", ".htpasswd", ".htaccess", ".dockercfg", ".dockerconfigjson", ".boto", ".s3cfg"),
    *(
        ".passwd-s3fs",
        ".vault-token",
        ".vault_pass*",
        "vault_pass*",
        ".vault-pass*",
        ".my.cnf",
        ".mylogin.cnf",
    ),
    *(".wgetrc", ".curlrc", "_curlrc", ".fetchmailrc", ".msmtprc", ".muttrc", ".mailrc", ".gitconfig"),
    *(
        "rclone.conf",
        "kaggle.json",
        "kubeconfig*",
        "*.kubeconfig",
        ".terraformrc",
        "terraform.rc",
        ".databrickscfg",
    ),
    *(
        ".snowsql",
        "connections.toml",
        ".dbshell",
        ".cookies",
        "cookies.txt",
        "cookies.sqlite*",
        "cookies.json",
    ),
    *(
        "*cookies.txt",
        "login data",
        "logins.json",
        "key3.db",
        "key4.db",
        "signons.sqlite",
        ".lesshst",
        "*_history",
    ),
    *(".histfile", ".zhistory", ".zsh_history*", "*.history", "fish_history", "application_default_*"),
    *("client_secret*", "oauth*.json", "*-oauth.json", "google-services.json", "googleservice-info.plist"),
    *("*.secret", "*.secrets", "*.token", "*.password", "*.pwd", "*.credentials", "*.apikey", "*.htpasswd"),
    *("master.key", "secrets.yml.enc", "shadow", "passwd", "passwords*", "settings-security.xml", ".pgpass*"),
    *(".cargo-credentials", ".netrc.*", "authorized_keys*", "known_hosts", "wallet.dat", ".wandb_api_key"),
    *(
        "firebase-adminsdk*",
        "*-firebase-adminsdk-*",
        "gcloud*.json",
        "gha-creds-*.json",
        ".condarc",
        "pip.conf",
    ),
    *(
        "secring.*",
        "trustdb.gpg",
        "accesstokens.json",
        "azureprofile.json",
        "servicesettings.json",
        "*.publishsettings",
    ),
)
"""Names of files, in lower case; no `*.py`, since a module about tokens or secrets is code."""

FOLDERS = (
    *(
        ".ssh",
        ".aws",
        ".azure",
        ".gnupg",
        ".docker",
        ".kube",
        ".oci",
        ".terraform",
        ".terraform.d",
        ".password-store",
    ),
    *(
        "gcloud",
        ".gcloud",
        ".huggingface",
        ".kaggle",
        ".vault",
        ".pki",
        ".secrets",
        "secrets",
        ".secret",
        "secret",
    ),
    *(
        ".databricks",
        ".snowflake",
        ".aliyun",
        ".bluemix",
        ".chef",
        ".helm",
        ".minikube",
        ".credentials",
        "credentials",
    ),
    *(
        "private_keys",
        "private-keys",
        ".mozilla",
        "keyrings",
        ".keyrings",
        ".age",
        ".sops",
        ".netlify",
        ".flyctl",
    ),
)
"""Folders that tools keep credentials in."""

PACKAGES = ("secrets", "secret", "credentials", "gcloud")
"""Folders that, with a `.py` in them, are as likely code."""

CODE = word_set(
    "py pyi pyx ipynb c cc cpp cu h hpp rs go java kt js jsx ts tsx sh bash r jl lua md rst html "
    "css scss sql proto cmake dockerfile makefile"
)
"""Endings of code and text, in which a name with `token` says what it is about."""

NOTES = word_set(
    "txt json yml yaml toml ini cfg conf csv xml properties env bak old orig save swp b64 enc dat"
)
"""Endings of files that hold data: named after a secret, they hold it."""

SCANNED = 2**20
"""Bytes of a file that are looked through for secrets."""

SHELL = frozenset({"", "sh", "bash", "zsh", "dockerfile", "makefile", "mk", "env", "profile"})
"""Endings of code in which a value needs no quotes."""

_SERVICE_ACCOUNT = re.compile(r"(?<![a-z])service[-_. ]?accounts?(?![a-z])")

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>`|]{3,2000}@", re.IGNORECASE)

_ASSIGNED = re.compile(
    r"(?<![\w.\-])([\w.\-]{2,80}+)(?:\\*[\"'])?\]?[ \t]*(?::[ \t]*\w+[ \t]*=(?!=)|:(?!:)|=(?!=))>?[ \t]*"
    r"(?:[bBrRuU]{0,2}\\*([\"'])([^\"'\\\n]{6,4000}+)|([^\s\"'\\#,;(){}\[\]]{6,4000}+))"
)

_DOCUMENTED = word_set("password passwd pass pw pwd secret token user me xxx example")
"""Passwords as examples in documentation give them."""


def secret_file(path: str) -> bool:
    """Say whether a file's name, or a folder's on its path, is one that secrets are kept under."""
    parts = PurePosixPath(path.lower()).parts
    if not parts:
        return False
    name = parts[-1]
    is_code = name.rpartition(".")[2] in CODE and "." in name
    kept_in = [part for part in parts[:-1] if part in FOLDERS and not (is_code and part in PACKAGES)]
    return bool(kept_in) or any(fnmatchcase(name, pattern) for pattern in FILES) or _is_named_so(path)


def secret_content(content: bytes, path: str) -> str | None:
    """Say what in a file looks like a secret, None where nothing does; `path` tells code from data."""
    head = content[:SCANNED]
    # Without its zeros, text in UTF-16 reads like any other.
    text = head.replace(b"\0", b"").decode("utf-8", "replace")
    if holds_token(text):
        return "it holds a private key or a token"
    if holds_secret_value(text):
        return "it holds a secret of this environment or config"
    if b"\0" in head[:8192] and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    if any(_is_secret(password_in(match[0] + "host")) for match in _ADDRESS.finditer(text)):
        return "it holds an address with a password"
    key = _assigned(text, PurePosixPath(path.lower()).suffix.lstrip("."))
    return None if key is None else f"it holds a value for {key}"


def _assigned(text: str, ending: str) -> str | None:
    """Return the first name of a secret that is given a value; in code, one that looks made by chance."""
    for match in _ASSIGNED.finditer(text):
        name, value = match[1], match[3] or match[4]
        if not (secret_key(name) or (name.isupper() and secret_variable(name))) or not _is_secret(value):
            continue
        is_data = ending not in CODE and ending != "txt"
        if match[4] and not is_data and ending not in SHELL:
            continue
        if is_strong(name) and is_data and not value.replace(".", "").replace("_", "").isdigit():
            return name
        if is_random(value):
            return name
    return None


def _is_secret(value: str | None) -> bool:
    if not value or value.lower() in _DOCUMENTED or is_placeholder(value):
        return False
    return not value.startswith(("${", "$", "{", "<", "%", "/", "./", "~")) and "{" not in value


def _is_named_so(path: str) -> bool:
    """Say whether a file of data is named after a secret, as `token.txt` and `api-key` are."""
    name = PurePosixPath(path).name
    stem, dot, ending = name.lstrip(".").partition(".")
    ending = ending.lower().rpartition(".")[2]
    if dot and ending not in NOTES:
        return False
    if _SERVICE_ACCOUNT.search(stem.lower()):
        return True
    parts = words(stem)
    if ending in ("csv", "xml", "dat", "md") and not is_strong(stem):
        return False
    return bool(parts) and (secret_key(stem) or parts[-1] in ("secrets", "credentials", "creds", "passwords"))
