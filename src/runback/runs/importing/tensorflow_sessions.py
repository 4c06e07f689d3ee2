"""Leaves out what set up a session of TensorFlow 1, which computed what TensorFlow 2 does without one."""

import ast

from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import Statement, bound_names, loaded_names

SESSION = (
    "tensorflow.Session",
    "tensorflow.InteractiveSession",
    "tensorflow.ConfigProto",
    "tensorflow.GPUOptions",
    "tensorflow.compat.v1.Session",
    "tensorflow.compat.v1.InteractiveSession",
    "tensorflow.compat.v1.ConfigProto",
    "tensorflow.compat.v1.GPUOptions",
    "tensorflow.global_variables_initializer",
    "keras.backend.set_session",
    "keras.backend.get_session",
    "keras.backend.tensorflow_backend.set_session",
    "keras.backend.tensorflow_backend.get_session",
    "tensorflow.keras.backend.set_session",
    "tensorflow.compat.v1.keras.backend.set_session",
)
"""What a session is made, configured and begun with; none of it changes a result."""


def drop_sessions(statements: list[Statement], names: KerasNames, notes: ImportNotes) -> None:
    """Leave out the statements that make, configure or set a session, and those about one that they made."""
    of_sessions: set[str] = set()
    for one in list(statements):
        if not isinstance(one.node, ast.Assign | ast.Expr):
            continue
        mentions = {names.written(node) for node in ast.walk(one.node) if isinstance(node, ast.expr)}
        loaded = loaded_names(one.node)
        is_about = isinstance(one.node, ast.Expr) or isinstance(one.node.targets[0], ast.Attribute)
        if mentions & set(SESSION) or (loaded & of_sessions and is_about):
            of_sessions |= bound_names(one.node)
            statements.remove(one)
            notes.add("left out", one.cell, f"{ast.unparse(one.node):.60}: TensorFlow 2 has no sessions")
