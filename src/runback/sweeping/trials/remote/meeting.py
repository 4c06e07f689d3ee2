"""Where a coordinator's workers find it: a file in the sweep's folder, which only its owner may read."""

import contextlib
import json
import os
import secrets
import socket
import ssl
import stat
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import psutil

from runback.errors import InputError
from runback.system.files.whole_file import whole_file

FILE = "coordinator.json"

LONGEST = 100_000
"""Bytes of such a file."""

VALID = timedelta(days=3650)
"""How long a certificate is valid: no sweep takes that long, and clocks differ."""


@dataclass(frozen=True)
class Meeting:
    """A coordinator's addresses, the certificate that it is known by, and the token that lets workers in."""

    hosts: tuple[str, ...]
    port: int
    certificate: str
    token: str

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder, for its owner's eyes alone. Raises OSError."""
        with whole_file(folder / FILE, permissions=0o600) as stream:
            stream.write(json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what is in a sweep's folder; None: nothing yet. Raises InputError where it is not ours."""
        file = folder / FILE
        try:
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise InputError(f"{file} is none of ours: expected a file that nobody else may read")
            if status.st_size > LONGEST:
                raise InputError(f"{file} is too long")
            facts = json.loads(file.read_bytes())
            hosts = tuple(str(host) for host in facts["hosts"])
            return cls(hosts, int(facts["port"]), str(facts["certificate"]), str(facts["token"]))
        except OSError:  # it is being written, or the file system is away: it comes
            return None
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise InputError(f"{file} cannot be read: {type(error).__name__}") from error


def remove(folder: Path) -> None:
    """Remove what is written in a sweep's folder: there is no coordinator any more."""
    with contextlib.suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def own_hosts() -> tuple[str, ...]:
    """Return the names and addresses under which other machines may reach this one, the likeliest first."""
    found = [socket.gethostname()]
    for addresses in psutil.net_if_addrs().values():
        found += [one.address for one in addresses if one.family == socket.AF_INET]
    return tuple(sorted(dict.fromkeys(found), key=lambda host: host.startswith("127.")))


def new_token() -> str:
    """Return a secret."""
    return secrets.token_hex(32)


def server_context() -> tuple[ssl.SSLContext, str]:
    """Return a server's settings and its certificate (PEM), a new one; its key is nowhere else."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.NamedTemporaryFile(prefix="runback-") as file:  # Python takes a key from a file only
        file.write(private + text.encode())
        file.flush()
        context.load_cert_chain(file.name)
    return context, text
