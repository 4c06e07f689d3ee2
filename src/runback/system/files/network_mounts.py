"""Network file systems, on which the locks of SQLite do not keep two machines from writing at once."""

from pathlib import Path

import psutil

from runback.errors import StoreError

UNSAFE = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "fuse.s3fs"}
)
"""File systems on which locks are not known by all machines, or are, as it happens, ignored."""


def network_file_system(path: Path) -> str | None:
    """Return the kind of the network file system that a path is on; None: it is on none with unsafe locks."""
    whole = path.absolute()
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    around = [folder for folder in (whole, *whole.parents) if folder in mounts]
    kind = mounts[around[0]] if around else ""
    return kind if kind.lower() in UNSAFE else None


def refuse_network_file(path: Path, what: str, instead: str) -> None:
    """Raise StoreError for a SQLite file that is, or would be, on a network file system."""
    parent = next((folder for folder in path.absolute().parents if folder.exists()), path)
    kind = network_file_system(parent.resolve())
    if kind is not None:
        raise StoreError(
            f"{what} cannot be a SQLite file on {kind} ({path}): its locks are not safe there, it would be "
            f"damaged some day; use PostgreSQL, {instead}, or a folder on a disk of this machine"
        )
