"""Secrets that are known by their own form, whatever stands beside them."""

import re

from runback.system.secrecy.secret_names import word_set

HIDDEN = "***"
"""Stands in place of a secret."""

_TOKENS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{20,}+",  # GitHub
    r"github_pat_[A-Za-z0-9_]{20,}+",
    r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt|ffct)-[\w-]{16,}+",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}+",  # Slack
    r"xapp-\d-[A-Za-z0-9-]{10,}+",
    r"sk-(?:ant|proj|svcacct|admin|or|lf)-[\w-]{8,}+",  # Anthropic, OpenAI
    r"sk-[A-Za-z0-9]{16,}+(?![\w-])",
    r"sk-(?=[A-Za-z_-]{0,60}\d)[\w-]{20,}+",
    r"(?:[sr]k|pk)_(?:live|test)_[A-Za-z0-9]{8,}+",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{16,}+",
    r"AIza[\w-]{30,}+",  # Google
    r"ya29\.[\w-]{20,}+",
    r"GOCSPX-[\w-]{20,}+",
    r"hf_[A-Za-z0-9]{16,}+",  # Hugging Face
    r"npm_[A-Za-z0-9]{30,}+",
    r"pypi-(?:AgE[\w-]{10,}+|(?=[A-Za-z_-]{0,60}\d)[\w-]{40,}+)",
    r"eyJ(?:[\w-]{1024,}+|[\w-]{8,}+\.[\w-]{4,}+)(?:\.[\w-]*+)*+",  # JSON Web Tokens
    r"SG\.[\w-]{16,}+\.[\w-]{16,}+",  # SendGrid
    r"dop_v1_[a-f0-9]{40,}+",  # DigitalOcean
    r"shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32,}+",  # Shopify
    r"hv[sbr]\.[\w-]{20,}+",  # Vault
    r"(?:r8|gsk|tskey|dapi|lin_api|xai|nvapi|dckr_pat|sntrys|pul|rubygems)[_-](?=[A-Za-z_-]{0,60}\d)[\w-]{24,}+",
    r"AGE-SECRET-KEY-1[A-Z0-9]{40,}+",
    r"SK[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio
)

_TOKEN = re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})")

_STARTS = tuple(
    word_set(
        "AKIA ASIA ABIA ACCA gh github_pat_ gl xox xapp- sk pk rk whsec_ AIza ya29. GOCSPX- hf_ npm_ "
        "pypi- eyJ SG. dop_v1_ shp hv r8 gsk tskey dapi lin_api xai nvapi dckr_pat sntrys pul rubygems "
        "AGE- SK"
    )
)

_WEBHOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows)/|discord(?:app)?\.com/api/webhooks/)[\w/-]{8,}+",
    re.IGNORECASE,
)

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    # Its lines may stand in JSON, in a patch, behind a `|` or `>`.
    r"(?:[A-Za-z0-9+/=\s\\,:;\"'.()|>*#]|-(?!----))*+"
    r"(?:-----END [A-Z0-9 ]{0,40}-----)?"
)

_WITH_BODY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\\\"'+|>,]|\\[nr]|[A-Za-z-]{3,20}: [^\n]{1,80}\n){1,12}[A-Za-z0-9+/=]{8,}"
)
"""A key, and not only its first line, which code that reads keys may hold."""


def without_tokens(text: str) -> str:
    """Return `text` without private keys, and without tokens of well-known services."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(HIDDEN, text)
    if "webhooks/" in text or "hooks.slack" in text:
        text = _WEBHOOK.sub(rf"\1{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text) if any(start in text for start in _STARTS) else text


def holds_token(text: str) -> bool:
    """Say whether there is a private key, or a token of a well-known service, in `text`."""
    if _WEBHOOK.search(text) or (any(start in text for start in _STARTS) and _TOKEN.search(text)):
        return True
    return "PRIVATE KEY" in text and _WITH_BODY.search(text) is not None
