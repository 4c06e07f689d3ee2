"""The place of a sweep's study: a file in the sweep's folder, or a database that coordinators share."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from optuna.study import Study

from runback.errors import InputError
from runback.sweeping.shared import sharing as shares
from runback.sweeping.shared.claims import Claims, OwnStudy, SharedStudy
from runback.sweeping.shared.sharing import Sharing
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_pointer import write_pointer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.study.study_store import STUDY, close_study, open_study, readable_errors
from runback.sweeping.sweep_settings import SweeperSettings
from runback.system.files.contained_path import inside, refuse_links_out
from runback.system.files.folder_lock import alone_in
from runback.system.files.network_mounts import refuse_network_file
from runback.tracking.layout import MLRUNS_VARIABLE


@dataclass(frozen=True)
class StudyPlace:
    """Where a sweep's study is, or will be."""

    name: str
    folder: Path
    """The sweep's."""
    own_folder: Path
    """Where this coordinator's own files are: the sweep's folder, or one in it where others have that."""
    sharing: Sharing | None
    """None: the study is a file, and this coordinator's alone."""
    is_known: bool
    """Whether there is a study."""
    creation: contextlib.ExitStack
    """Held until a new study has all that those who join it look for."""

    @classmethod
    def of(cls, ends: contextlib.ExitStack, settings: SweeperSettings, folder: Path, name: str) -> Self:
        """Return the place that settings name; what it needs is let go of by `ends`. Errors: InputError."""
        url = None if settings.storage is None else StorageUrl.parse(settings.storage)
        shares.refuse_other_place(folder, url, name, has_file=(folder / STUDY).exists())
        creation = ends.enter_context(contextlib.ExitStack())
        if url is None:
            refuse_network_file(folder / STUDY, "a sweep's study", "hydra.sweeper.storage=postgresql://…")
            return cls(name, folder, folder, None, (folder / STUDY).exists(), creation)
        _refuse_links(folder, name)
        sharing = ends.enter_context(shares.opened(url, settings.lease))
        creation.enter_context(sharing.creating(name))
        own_folder = ends.enter_context(shares.own_folder(folder, name))
        has_study = sharing.has_study(name)
        shares.refuse_lost(folder, url, name, has_study=has_study)
        return cls(name, folder, own_folder, sharing, has_study, creation)

    def claims(self, study: Study) -> Claims:
        """Return what this coordinator may do with the trials."""
        return OwnStudy() if self.sharing is None else self.sharing.claims(study)

    @contextlib.contextmanager
    def opened(self, search: Search, *, extend: bool) -> Iterator[Study]:
        """Hold the sweep's folder, and open its study. Errors: InputError where it has another config.

        What the study's database raises meanwhile is one line: StoreError, DiskFull.
        """
        _refuse_links(self.folder, self.name)
        storage = None if self.sharing is None else self.sharing.storage
        alone = contextlib.nullcontext() if storage else alone_in(self.folder, f"sweep {self.name}")
        with alone, readable_errors(self.folder / STUDY):
            study = open_study(self.folder, self.name, search, extend=extend, storage=storage)
            try:
                if storage is None and not study.get_trials(deepcopy=False):
                    self.refuse_without_study()
                if self.sharing is not None:
                    write_pointer(self.folder, self.sharing.url)
                yield study
            finally:
                close_study(study)

    def refuse_without_study(self) -> None:
        """Refuse a folder with trials of a study that is gone: new ones would be taken for them."""
        if self.sharing is None and any(trial.name.isdigit() for trial in self.folder.glob("*/")):
            raise InputError(
                f"{self.folder} holds trials, and {STUDY} knows none: put it back, move the folder away, "
                "or start a fresh study with --new"
            )


def shared(claims: Claims) -> SharedStudy | None:
    """Return the claims on a shared study; None for a study of one's own."""
    return claims if isinstance(claims, SharedStudy) else None


def _refuse_links(sweep_folder: Path, name: str) -> None:
    """Refuse a folder in mlruns/ through which trials would write, or read, outside."""
    mlruns = Path(os.environ.get(MLRUNS_VARIABLE, os.devnull))
    if sweep_folder.is_relative_to(mlruns):
        inside(mlruns, sweep_folder, f"the folder of sweep {name}")
        refuse_links_out(sweep_folder, mlruns, f"the folder of sweep {name}")
