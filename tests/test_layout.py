"""The plan of the source: few rooms, small ones, and a name only once."""

import ast
import re
from collections import Counter
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
ROOT = SRC / "runback"
MODULES = [path for path in SRC.rglob("*.py") if not path.name.startswith("__")]
DIALECT = re.compile(
    r"(?:^|_)(?:told|tells?|shown|known|kept|begun|brought|found|settled?|rounds|courier|chatter|hopeless\w*)(?:_|$)"
)


def definitions(kind, *, public=False):
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, kind) and not (public and node.name.startswith("_")):
                yield node.name


def repeated(names):
    return sorted(name for name, times in Counter(names).items() if times > 1)


def test_the_package_has_at_most_14_rooms_and_modules():
    entries = [
        p.name for p in ROOT.iterdir() if p.suffix == ".py" or (p.is_dir() and p.name != "__pycache__")
    ]
    assert len(entries) <= 14, sorted(entries)


def test_no_folder_has_more_than_14_modules():
    folders = Counter(path.parent for path in MODULES)
    assert {str(folder): count for folder, count in folders.items() if count > 14} == {}


def test_the_name_of_a_module_occurs_once():
    packages = [path.parent.name for path in ROOT.rglob("__init__.py") if path.parent != ROOT]
    assert repeated([path.stem for path in MODULES]) == []
    assert repeated(packages) == []
    assert sorted({path.stem for path in ROOT.rglob("*.py")} & set(packages)) == []


def test_the_name_of_a_class_occurs_once():
    assert repeated(definitions(ast.ClassDef)) == []


def test_modules_classes_and_public_functions_have_names_of_the_field():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = [
        *(path.stem for path in MODULES),
        *(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in definitions(ast.ClassDef)),
        *definitions(functions, public=True),
    ]
    assert sorted({name for name in names if DIALECT.search(name)}) == []
