"""docs/notify.md says what the code does."""

import re
from pathlib import Path

import pytest
import yaml

from runback.sweeping.watching import notifier, webhook_post
from runback.sweeping.watching.webhook import EVENTS, FORMS, webhooks

PAGE = (Path(__file__).parents[1] / "docs" / "notify.md").read_text(encoding="utf-8")


def test_the_config_of_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.setenv("SWEEPS_WEBHOOK", "https://hooks.slack.com/services/T0/B0/0")
    [webhook] = webhooks(yaml.safe_load(block)["hydra"]["sweeper"]["notify"])
    assert (webhook.form, webhook.on) == ("slack", EVENTS)


def test_the_page_names_every_form_and_the_limits() -> None:
    assert all(f"| `{form}` |" in PAGE for form in FORMS)
    assert notifier.APART == 60
    assert f"a server gets {webhook_post.SECONDS:g} seconds" in PAGE
    assert f"up to {notifier.AT_END:g} seconds" in PAGE
    assert f"At most {notifier.WAITING} messages" in PAGE
