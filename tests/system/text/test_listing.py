from runback.system.text.listing import did_you_mean, first_lines, listed, nearest


def test_the_nearest_name_is_the_most_alike_or_none():
    assert nearest("epoch", ["batch", "epochs", "epoch_size"]) == "epochs"
    assert nearest("epoch", ["batch"]) is None
    assert nearest("epoch", ["batch"], cutoff=0.0) == "batch"


def test_where_no_name_is_near_something_else_is_said():
    assert did_you_mean("epoch", {"epochs": 1}, "there are none") == "did you mean 'epochs'?"
    assert did_you_mean("epoch", [], "there are none") == "there are none"


def test_the_names_beyond_the_first_few_are_counted():
    assert listed([], 2) == ""
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert listed(["a"] * 1003, 2, "; ") == "a; a and 1,001 more"


def test_the_lines_beyond_the_first_few_are_counted():
    assert first_lines(["a", "b"], 2, "files") == ["a", "b"]
    assert first_lines(["a", "b", "c"], 2, "files") == ["a", "b", "and 1 more files"]
    assert first_lines(["a", "b", "c"], 1) == ["a", "and 2 more"]
