"""Has a script read CIFAR-10 from a path that is a parameter, in the place of Keras' download."""

import ast
from dataclasses import dataclass

from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import Statement
from runback.runs.importing.task_parameters import TaskParameters

DATASETS = "keras.datasets."
CIFAR10 = "keras.datasets.cifar10.load_data"
NAMED = {
    "keras.datasets.mnist.load_data": "mnist.npz",
    "keras.datasets.boston_housing.load_data": "boston_housing.npz",
}
"""Functions that take the path of their file, and its name by default, under ~/.keras/datasets."""

READER = "load_cifar10"
PARAMETER = "data_path"

LOAD_CIFAR10 = f'''
def {READER}(path: str | None) -> tuple:
    """Return CIFAR-10 as keras.datasets.cifar10.load_data does: ((images, labels), (images, labels)).

    `path` is a folder with train.parquet and test.parquet, or with the authors' batches or archive;
    without it that is downloaded once.
    """
    cache = Path("mlruns", "data").absolute()
    source = Path(path) if path else None
    splits = [cifar10_images.load(split, cache=cache, path=source) for split in ("train", "test")]
    return tuple((np.array(one.images), one.labels.reshape(-1, 1).astype("uint8")) for one in splits)
'''


@dataclass
class DataReader:
    """The function that a script reads its data by, if it needs one."""

    names: KerasNames
    function: str = ""

    @property
    def imports(self) -> list[str]:
        """The lines of the imports that the function needs."""
        if not self.function:
            return []
        return [
            "import numpy as np",
            "from pathlib import Path",
            "from runback.classifier.data import cifar10 as cifar10_images",
        ]

    def read_locally(
        self, statements: list[Statement], parameters: TaskParameters, notes: ImportNotes
    ) -> None:
        """Replace downloads by readers of a parameter's path where there are some; note the others."""
        for one in statements:
            for node in ast.walk(one.node):
                name = self.names.name(node.func) if isinstance(node, ast.Call) else None
                if not isinstance(node, ast.Call) or name is None or not name.startswith(DATASETS):
                    continue
                if name == CIFAR10:
                    node.func = ast.Name(READER, ast.Load())
                    node.args, node.keywords = [ast.Name(PARAMETER, ast.Load())], []
                    self.function = LOAD_CIFAR10
                    parameters.add(PARAMETER, None, "str | None")
                    notes.add(
                        "changed",
                        one.cell,
                        f"cifar10.load_data() reads from the parameter {PARAMETER}, a folder "
                        "or the archive; without it, that is downloaded once",
                    )
                elif name in NAMED and not node.args and all(word.arg != "path" for word in node.keywords):
                    node.keywords.insert(0, ast.keyword("path", ast.Name(PARAMETER, ast.Load())))
                    parameters.add(PARAMETER, NAMED[name])
                    notes.add(
                        "changed",
                        one.cell,
                        f"{name.rpartition('.')[0].rpartition('.')[2]}.load_data() takes its "
                        f"file from the parameter {PARAMETER}, relative to ~/.keras/datasets",
                    )
                elif name.endswith(".load_data"):
                    notes.add("note", one.cell, f"{name} downloads its data where ~/.keras/datasets has none")
