"""The files that a run is trained again from."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runback.runs.live.recorded_code import RecordedCode
from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import CONFIG, LOCK, OVERRIDES, PATCH, RECORD, UNTRACKED, RunRecord, write_record
from runback.system.config.written_config import written_overrides
from runback.system.secrecy import redacted
from runback.system.secrecy.secret_files import secret_content

_logger = logging.getLogger(__name__)


def run_files(spec: RunSpec, record: RunRecord, code: RecordedCode) -> dict[str, bytes]:
    """Return the files that a run is trained again from, the record last: it says that all are there."""
    overrides = redacted(OmegaConf.to_yaml(written_overrides(spec.overrides)))
    files = {
        CONFIG: config_yaml(spec.written.tree).encode(),
        OVERRIDES: overrides.encode(),
        PATCH: code.snapshot.patch,
        UNTRACKED: code.snapshot.untracked_zip() if code.snapshot.untracked else b"",
        LOCK: _lock(spec.layout.root / "uv.lock"),
        RECORD: write_record(record),
    }
    return {name: content for name, content in files.items() if content}


def _lock(lock: Path) -> bytes:
    """Return the lock file, nothing where there is none or an index in it is one with a password."""
    if not lock.is_file():
        return b""
    content = lock.read_bytes()
    reason = secret_content(content, lock.name)
    if reason is None:
        return content
    _logger.warning("the record leaves out %s (%s)", lock.name, reason)
    return b""


def config_yaml(config: Mapping[str, Any]) -> str:
    """Return a config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))
