import pytest

from runback.errors import InputError
from runback.runs.tasks.task_source import TaskSource, refuse_outside


def test_a_module_that_lacks_another_one_is_not_missing_itself(tmp_path, monkeypatch):
    (tmp_path / "lacking_task.py").write_text("import lacking\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match="cannot import lacking_task: ModuleNotFoundError: No module named 'lacking'"
    ):
        TaskSource.named("lacking_task:train")
    with pytest.raises(InputError, match=r"there is no module 'lacking\.train'"):
        TaskSource.named("lacking.train")


@pytest.mark.parametrize("module", ["..mine", ".mine", "mine.", "", "os", "/mine", "mine:x"])
def test_a_module_of_others_is_one_of_the_project(tmp_path, module):
    (tmp_path / "mine.py").touch()
    refuse_outside({"module": "mine", "name": "train"}, tmp_path, "1a2b")
    with pytest.raises(InputError, match="which this project has not"):
        refuse_outside({"module": module, "name": "train"}, tmp_path, "1a2b")
