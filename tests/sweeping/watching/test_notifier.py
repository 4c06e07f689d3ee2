"""Webhooks are told how a sweep fares, by a real server on loopback; nothing of it can stop a sweep."""

import base64
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from runback.errors import InputError, TrainingError
from runback.sweeping.study.study_store import keep_names
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import Idle, TrialEnded
from runback.sweeping.watching import webhook_post
from runback.sweeping.watching.notifier import APART, Notifier
from runback.sweeping.watching.webhook import Webhook, webhooks
from runback.system.secrecy import redacted

PATH = "/services/T01ABCDEF/B01ABCDEF/x7Kq9ZpLm2Vt8RwYb3Nd5Cfg"
"""As Slack's are, whose last part is the secret."""

ALL = ("end", "failures", "best")


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it; answers `status` after so many seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.received, self.status, self.seconds = [], 200, 0.0
        self.location = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append((self.path, dict(self.headers), body))
        time.sleep(self.server.seconds)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(study_name="a <sweep>", direction="maximize")
    keep_names(made, ["val_accuracy"])
    return made


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def completed(study, value):
    study.add_trial(create_trial(value=value))
    return TrialEnded(study.trials[-1], messages.Completed((value,)))


def failed(study, reason, kind="code"):
    study.add_trial(create_trial(state=TrialState.FAIL))
    return TrialEnded(study.trials[-1], messages.Failed(kind, reason))


def texts(receiver):
    return [json.loads(body)["text"] for _, _, body in receiver.received]


def test_the_end_is_posted_to_slack_with_the_best_the_counts_and_a_command(receiver, study):
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("end",))])
    with notifier.keeping():
        for value in (0.5, 0.75, 0.625):
            notifier.observe(completed(study, value))
    [text] = texts(receiver)
    assert text == (
        "sweep a &lt;sweep&gt; has ended\nbest val_accuracy 0.75, trial 1\n3 complete\n"
        "runback best 'a &lt;sweep&gt;'"
    )
    assert receiver.received[0][0] == PATH


def test_ntfy_gets_plain_text_with_a_title_and_the_user_of_the_address(receiver, study):
    url = receiver.url.replace("http://", "http://me:pa%24s@")
    notifier = Notifier(study, [Webhook(url, "ntfy", ("end",))])
    with notifier.keeping():
        notifier.observe(completed(study, 0.5))
    [(_, headers, body)] = receiver.received
    assert headers["Title"] == "sweep a <sweep> has ended"
    assert body == "best val_accuracy 0.5, trial 0\n1 complete\nrunback best 'a <sweep>'"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:pa$s"


def test_any_other_gets_json(receiver, study):
    notifier = Notifier(study, [Webhook(receiver.url, "json", ("end",))])
    with notifier.keeping():
        notifier.observe(completed(study, 0.5))
    content = json.loads(receiver.received[0][2])
    assert content["event"] == "end"
    assert content["best"] == {"objective": "val_accuracy", "value": 0.5, "trial": 0}
    assert content["trials"] == {"complete": 1}
    assert content["command"] == "runback best 'a <sweep>'"


def test_best_values_are_told_once_a_minute_and_the_last_of_them(receiver, study):
    clock = Clock()
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("best",))], clock)
    with notifier.keeping():
        for value in (0.1, 0.2, 0.15, 0.3):
            notifier.observe(completed(study, value))
        clock.now = APART
        notifier.observe(Idle())
        clock.now = 3 * APART
        notifier.observe(completed(study, 0.25))
    assert [text.splitlines()[0].split(": ")[1] for text in texts(receiver)] == [
        "new best val_accuracy 0.1, trial 0",
        "new best val_accuracy 0.3, trial 3",
    ]


def test_failures_are_told_together_without_what_would_do_something(receiver, study, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "q8Wz4Lk2Pn7Xc5Vb")
    clock = Clock()
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("failures",))], clock)
    with notifier.keeping():
        notifier.observe(failed(study, "<!channel> \x1b[31m q8Wz4Lk2Pn7Xc5Vb\nand more"))
        notifier.observe(failed(study, "again"))
        notifier.observe(failed(study, "and again", "timeout"))
        clock.now = APART
        notifier.observe(Idle())
    first, second = texts(receiver)
    assert "a trial has failed\ntrial 0: code: &lt;!channel&gt; \\x1b[31m *** and more\n" in first
    assert "2 trials have failed\ntrial 2: timeout: and again\n" in second


def test_how_a_sweep_ends_is_told_when_an_error_ends_it(receiver, study):
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("end",))])
    with pytest.raises(TrainingError), notifier.keeping():
        raise TrainingError("no trial has completed")
    with pytest.raises(KeyboardInterrupt), Notifier(study, notifier._webhooks).keeping():
        raise KeyboardInterrupt
    assert "has ended: no trial has completed" in texts(receiver)[0]
    assert "was stopped (KeyboardInterrupt)" in texts(receiver)[1]


def test_what_was_the_best_before_is_no_news(receiver, study):
    study.add_trial(create_trial(value=0.9))
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("best",))])
    with notifier.keeping():
        notifier.observe(completed(study, 0.5))
    assert receiver.received == []


def test_another_coordinators_best_is_the_best(receiver, study):
    clock = Clock()
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("end", "best"))], clock)
    with notifier.keeping():
        notifier.observe(completed(study, 0.1))
        notifier.observe(completed(study, 0.2))
        study.add_trial(create_trial(value=0.9))
        clock.now = APART
        notifier.observe(Idle())
    told = [text.splitlines()[:2] for text in texts(receiver)]
    assert [first.split(": ")[1] for first, _ in told[:-1]] == ["new best val_accuracy 0.1, trial 0"]
    assert told[-1][1] == "best val_accuracy 0.9, trial 2"


def test_one_that_leaves_the_end_to_others_tells_of_none(receiver, study):
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("end",))])
    with notifier.keeping(lambda: True):
        notifier.observe(completed(study, 0.1))
    assert receiver.received == []


def test_the_end_tells_the_last_failure_where_failures_are_not_told(receiver, study):
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ("end",))])
    with notifier.keeping():
        notifier.observe(failed(study, "it broke"))
    assert "trial 0: code: it broke" in texts(receiver)[0]


def warnings_of(caplog):
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


def test_a_redirect_is_not_followed_and_is_said_once(receiver, study, caplog):
    with Receiver() as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05}).start()
        receiver.status, receiver.location = 302, other.url
        notifier = Notifier(study, [Webhook(receiver.url, "slack", ALL)])
        with notifier.keeping():
            notifier.observe(completed(study, 0.5))
        other.shutdown()
        assert other.received == []
    assert warnings_of(caplog) == [
        "not everybody is notified of this sweep: 127.0.0.1: it answers 302, a redirect, which is not "
        "followed"
    ]
    assert len(receiver.received) == 2


def test_a_dead_server_is_said_once_and_the_others_are_told(receiver, study, caplog):
    dead = Webhook("http://127.0.0.1:1/x", "json", ALL)
    notifier = Notifier(study, [dead, Webhook(receiver.url, "slack", ALL)])
    with notifier.keeping():
        notifier.observe(completed(study, 0.5))
    assert warnings_of(caplog) == ["not everybody is notified of this sweep: 127.0.0.1: Connection refused"]
    assert len(receiver.received) == 2


def test_a_slow_server_delays_nothing_but_the_end_which_waits_a_little(receiver, study, caplog, monkeypatch):
    monkeypatch.setattr(webhook_post, "SECONDS", 0.2)
    receiver.seconds = 1.0
    notifier = Notifier(study, [Webhook(receiver.url, "slack", ALL)])
    with notifier.keeping():
        notifier.observe(completed(study, 0.5))
        assert threading.active_count() > 1
    assert warnings_of(caplog) == [
        "not everybody is notified of this sweep: 127.0.0.1: it does not answer within 0.2 s"
    ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "https://hooks.slack.com" + PATH}, "url must name the environment variable"),
        ({"url": None}, "url must name the environment variable"),
        ({"url": "env:NOT_SET"}, "NOT_SET is not set"),
        ({"url": "env:NO_ADDRESS"}, "NO_ADDRESS holds no http or https address"),
        ({"url": "env:HOOK", "on": ["begin"]}, r"on must be a list of end, failures, best; got \['begin'\]"),
        ({"url": "env:HOOK", "form": "teams"}, "form must be one of slack, ntfy, json; got 'teams'"),
        ({"url": "env:HOOK", "to": 1}, "has no 'to'"),
        ("env:HOOK", "must be {url: env:NAME"),
    ],
)
def test_wrong_settings_are_refused_without_the_address(monkeypatch, settings, reason):
    monkeypatch.setenv("HOOK", "https://hooks.slack.com" + PATH)
    monkeypatch.setenv("NO_ADDRESS", "file:///etc/x7Kq9ZpLm2Vt8RwYb3Nd5Cfg")
    with pytest.raises(InputError, match=reason) as refused:
        webhooks(settings)
    assert "x7Kq9ZpLm2Vt8RwYb3Nd5Cfg" not in str(refused.value)


def test_an_address_is_a_secret_once_it_is_read_and_says_its_form(monkeypatch):
    monkeypatch.setenv("HOOK", "https://hooks.slack.com" + PATH)
    monkeypatch.setenv("TOPIC", "https://ntfy.example.com/sweeps")
    slack, ntfy = webhooks([{"url": "env:HOOK", "on": "best"}, {"url": "env:TOPIC", "on": list(ALL)}])
    assert (slack.form, slack.on, ntfy.form, ntfy.on) == ("slack", ("best",), "ntfy", ALL)
    assert "x7Kq9ZpLm2Vt8RwYb3Nd5Cfg" not in redacted(f"{slack} posts to {slack.url} with {PATH}")
    assert slack.host == "hooks.slack.com"


APP = """
import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    return cfg.x

if __name__ == "__main__":
    app()
"""

CONFIG = """
defaults:
  - override hydra/sweeper: runback
x: 0
hydra:
  sweeper:
    experiment: notified
    n_trials: 2
    notify: {url: env:SWEEPS_ADDRESS, on: [end, best]}
    params: {x: "range(2)"}
"""


def test_the_address_is_nowhere_after_a_sweep(project, receiver):
    (project.folder / "app.py").write_text(APP)
    (project.folder / "app.yaml").write_text(CONFIG)
    done = project.python("app.py", "--multirun", SWEEPS_ADDRESS=receiver.url)
    assert done.returncode == 0, done.stderr
    assert len(receiver.received) == 2
    secret = PATH.rpartition("/")[2]
    assert secret not in done.stdout + done.stderr
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert [file for file in files if secret.encode() in file.read_bytes()] == []
