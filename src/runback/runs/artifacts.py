"""The names of the artifacts that a run is read back from."""

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
RECORD = "record/record.json"
RESULT = "record/result.json"
PATCH = "record/changes.patch"
UNTRACKED = "record/untracked.zip"
LOCK = "record/uv.lock"
NETWORK = "model.keras"

MADE_FROM = (CONFIG, OVERRIDES, PATCH, UNTRACKED, LOCK, RECORD)
"""The artifacts that a run is trained again from; not every run has all of them."""

CODE = "code.zip"
"""In a bundle: the code at the run's commit, as `git archive` packs it."""

HISTORY = "history.json"
"""In a bundle: the metrics of each epoch."""
