import pytest

from runback.errors import InputError
from runback.provenance.code.patch import MAX_BYTES, PatchedFile, patched_files
from runback.provenance.code.snapshot import take_snapshot


def test_the_files_of_a_patch_are_those_that_git_would_change(changed):
    found = {one.path: one.change for one in patched_files(take_snapshot(changed.root).patch)}
    assert found["train.py"] == "+2 -2"
    assert found["weights.bin"] == "binary"
    assert found["gone.py"] == "+0 -1"
    assert 'sub dir/ünï "quoted".py' in found


def test_a_name_is_given_as_it_is_and_no_folder_hides_a_file(nobody, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = b'diff --git "a/\\033[8m" "b/\\033[8m"\nnew file mode 100644\n--- /dev/null\n+++ "b/\\033[8m"\n'
    assert patched_files(text + b"@@ -0,0 +1 @@\n+x\n") == [PatchedFile("\x1b[8m", 1, 0)]
    assert list(tmp_path.iterdir()) == []


BOMB = b"""diff --git a/b b/b
new file mode 100644
index 0000000000000000000000000000000000000000..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391
GIT binary patch
literal 60000000000
zcmV
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"garbage", "cannot be read"),
        (BOMB, "a binary change unpacks to 60,000,000,000 bytes"),
        (b"x" * (MAX_BYTES + 1), "expected at most"),
    ],
    ids=["garbage", "bomb", "large"],
)
def test_what_is_no_patch_is_one_line(nobody, text, told):
    with pytest.raises(InputError, match=told) as error:
        patched_files(text)
    assert "\n" not in str(error.value)
