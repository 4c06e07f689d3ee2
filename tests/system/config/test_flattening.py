from runback.system.config.flattening import flatten

TREE = {
    "seed": 1,
    "model": {"_target_": "net", "widths": [4, 8], "head": {"rate": None, "more": {}}},
    "a": {},
}


def test_values_have_dotted_keys_and_empty_mappings_are_values():
    assert list(flatten(TREE)) == [
        ("seed", 1),
        ("model._target_", "net"),
        ("model.widths", [4, 8]),
        ("model.head.rate", None),
        ("model.head.more", {}),
        ("a", {}),
    ]


def test_values_are_skipped_by_their_own_key():
    assert [key for key, _ in flatten(TREE, skip=("_target_", "rate"))] == [
        "seed",
        "model.widths",
        "model.head.more",
        "a",
    ]


def test_branches_come_before_what_is_in_them():
    keys = [key for key, _ in flatten({"a": {"b": {"c": 1}}, "d": {}}, branches=True)]
    assert keys == ["a", "a.b", "a.b.c", "d"]
