import pytest

from runback.system.secrecy.config_secrets import left_out, masked, masked_override


def test_what_stands_under_the_name_of_a_secret_is_hidden_at_any_depth():
    tree = {
        "model": {
            "api_key": "abc",
            "credentials": {"user": "me", "list": [1, "x"], "_target_": "a.b"},
            "password": 1234,
            "token": 5,
            "pad_token": "<pad>",
            "address": "http://a:b@c",
        },
        "list": ["token=abcdefg1"],
    }

    shown, keys = masked(tree)

    assert shown == {
        "model": {
            "api_key": "***",
            "credentials": {"user": "***", "list": ["***", "***"], "_target_": "a.b"},
            "password": "***",
            "token": 5,
            "pad_token": "<pad>",
            "address": "http://***@c",
        },
        "list": ["token=***"],
    }
    assert keys == left_out(shown)
    assert "model.credentials.list.0" in keys


def test_references_stay_and_defaults_beside_them_go():
    tree = {
        "api_key": "${oc.env:A}",
        "dsn": "postgres://${oc.env:U}:${oc.env:P}@h",
        "password": "x${oc.env:P}",
        "other": "${oc.env:MY_TOKEN,hunter2}",
        "token": "${oc.env:T,hunter2}",
        "size": "${oc.env:SIZE,3}",
    }
    assert masked(tree)[0] == {
        "api_key": "${oc.env:A}",
        "dsn": "postgres://${oc.env:U}:${oc.env:P}@h",
        "password": "***",
        "other": "${oc.env:MY_TOKEN}",
        "token": "${oc.env:T}",
        "size": "${oc.env:SIZE,3}",
    }


def test_a_secret_that_is_read_under_another_key_is_hidden_there_too():
    shown, keys = masked({"password": "planted77", "copy": "me:planted77"})
    assert shown == {"password": "***", "copy": "me:***"}
    assert keys == ["password", "copy"]


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("+model.api_key=abc", "+model.api_key=***"),
        ("model={api_key:abc}", "model={api_key:***}"),
        ('++a.b.token="x y"', "++a.b.token=***"),
        ("a.credentials.user=me", "a.credentials.user=***"),
        ("model.password=48213", "model.password=***"),
        ("model.token=5", "model.token=5"),
        ("model.password=null", "model.password=null"),
        ("model.password=${oc.env:P}", "model.password=${oc.env:P}"),
        ("~model.api_key", "~model.api_key"),
        ("optimizer=adam", "optimizer=adam"),
        ("data.path=https://me:pw@host/x", "data.path=https://***@host/x"),
    ],
)
def test_an_override_is_shown_without_its_secret(override, shown):
    assert masked_override(override) == shown
    assert masked_override(shown) == shown


def test_a_list_of_mappings_in_an_override_is_looked_through():
    assert "abc" not in masked_override("model.x=[{token:abc1,b:1}]")
