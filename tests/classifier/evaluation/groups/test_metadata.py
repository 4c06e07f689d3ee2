import numpy as np
import pandas as pd
import pytest

from runback.classifier.evaluation.groups.metadata import by_class, groupings, pairs_of, read_metadata
from runback.errors import InputError

NAMES = ["test/cat/1.png", "test/cat/2.png", "test/dog/3.png"]


def written(folder, text):
    file = folder / "metadata.csv"
    file.write_text(text)
    return file


def test_rows_are_joined_by_the_files_names_whatever_their_order(tmp_path):
    file = written(tmp_path, "file,site\ntest/dog/3.png,b\ntest/cat/1.png,a\ntest/cat/2.png,b\n")
    assert read_metadata(file, NAMES).site.tolist() == ["a", "b", "b"]


def test_bare_names_do_where_they_tell_images_apart(tmp_path):
    file = written(tmp_path, "file,site\n3.png,b\n1.png,a\n2.png,b\n")
    assert read_metadata(file, NAMES).site.tolist() == ["a", "b", "b"]


def test_rows_are_joined_by_number_or_by_their_order(tmp_path):
    file = written(tmp_path, "index,site\n2,c\n0,a\n1,b\n")
    assert read_metadata(file, NAMES).site.tolist() == ["a", "b", "c"]
    file = written(tmp_path, "site\nx\ny\nz\n")
    assert read_metadata(file, NAMES).site.tolist() == ["x", "y", "z"]


def test_parquet_is_read_as_csv_is(tmp_path):
    file = tmp_path / "metadata.parquet"
    pd.DataFrame({"index": [1, 0, 2], "age": [3, 4, 5]}).to_parquet(file)
    assert read_metadata(file, NAMES).age.tolist() == [4, 3, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site\nx\ny\n", "expected a row for each of the 3 test images.*got 2 rows"),
        ("file,site\na.png,x\n1.png,y\n2.png,y\n", "1 files that the test split does not have, as 'a.png'"),
        ("file,site\n1.png,x\n2.png,y\n", "nothing of 1 test images, as '3.png'"),
        ("file,site\n1.png,x\n1.png,x\n2.png,y\n3.png,y\n", "'1.png' twice"),
        ("index,site\n0,x\n1,y\n3,y\n", "each number from 0 to 2 once"),
        ("", "cannot be read"),
        ("site\n", "expected rows"),
    ],
)
def test_a_table_that_does_not_fit_the_images_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_metadata(written(tmp_path, text), NAMES)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    file = tmp_path / "metadata.parquet"
    file.write_bytes(b"PAR1 is not all that it takes")
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(file, NAMES)
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(tmp_path / "none.csv", NAMES)


def test_texts_stay_as_they_are_written(tmp_path):
    file = written(tmp_path, "file,region\n001,NA\n002,None\n003,x\n")
    table = read_metadata(file, ["001", "002", "003"])
    assert table.region.tolist() == ["NA", "None", "x"]


def test_a_trailing_comma_shifts_nothing(tmp_path):
    file = written(tmp_path, "site,age\nnorth,5,\nsouth,6,\nwest,7,\n")
    assert read_metadata(file, NAMES).site.tolist() == ["north", "south", "west"]


@pytest.mark.parametrize("name", ["cut.csv.gz", "cut.csv.zip", "cut.csv.xz", "cut.csv.bz2"])
def test_a_damaged_archive_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08\x00damaged")
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(tmp_path / name, NAMES)


@pytest.mark.parametrize("index", ["a,b,c", "0,,1", "0.5,1,2", "0,1,1"])
def test_an_index_that_is_none_is_refused(tmp_path, index):
    rows = "\n".join(f"{one},x" for one in index.split(","))
    with pytest.raises(InputError, match="each number from 0 to 2 once"):
        read_metadata(written(tmp_path, f"index,site\n{rows}\n"), NAMES)


def test_a_column_of_classes_is_left_out():
    made, notes = groupings(pd.DataFrame({"class": ["x", "y"], "site": ["a", "b"]}))
    assert [one.name for one in made] == ["site"]
    assert notes == ["class: left out, there are groups by class"]


def test_numbers_that_are_mostly_the_same_are_cut_into_fewer_parts():
    _, notes = groupings(pd.DataFrame({"count": [0] * 80 + [*range(1, 21)]}))
    assert notes == ["count: numbers, cut into 1 parts"]


def test_values_that_are_lists_or_infinite_make_groups_as_well():
    table = pd.DataFrame({"tags": [["a"], ["b"]] * 20, "age": [np.inf, *range(39)]})
    (tags, age), notes = groupings(table)
    assert len(tags.groups) == 2
    assert "no value" in age.groups
    assert "age: 1 images without a value are a group of their own" in notes


def test_columns_become_groups_and_what_was_done_is_said():
    table = pd.DataFrame({"site": ["b", "a", None, "b"] * 10, "age": range(40)})
    (site, age), notes = groupings(table)
    assert site.groups == ("a", "b", "no value")
    assert [site.groups[place] for place in site.of_image[:4]] == ["b", "a", "no value", "b"]
    assert len(age.groups) == 4
    assert np.bincount(age.of_image).tolist() == [10, 10, 10, 10]
    assert notes == [
        "site: 10 images without a value are a group of their own",
        "age: numbers, cut into quarters",
    ]


def test_unknown_columns_and_those_with_too_many_values_are_refused():
    table = pd.DataFrame({"name": [f"image {number}" for number in range(60)]})
    with pytest.raises(InputError, match="of at most 50 values; 'name' has 60"):
        groupings(table)
    with pytest.raises(InputError, match="expected one of name; got 'site'"):
        groupings(table, ["site"])


def test_pairs_are_the_groups_that_occur():
    table = pd.DataFrame({"site": ["a", "b", "a"], "light": ["day", "day", "night"]})
    both = [by_class(np.array([0, 0, 1]), ("cat", "dog")), *groupings(table)[0]]
    names = {one.name: one.groups for one in pairs_of(both)}
    assert names["site and light"] == ("a, day", "a, night", "b, day")
    assert names["class and site"] == ("cat, a", "cat, b", "dog, a")
