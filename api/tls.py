"""TLS of the web process: the company's certificate, or one by a small CA of our own, for pages inside a company.

The CA may name nothing but this machine's names (RFC 5280 §4.2.1.10), so that a device which trusts it trusts it for
nothing else. Certificates below it last a year and are renewed by themselves; the CA lasts ten and is made once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.settings import Settings, SettingsError

CA_DAYS: Final = 3650
LEAF_DAYS: Final = 397
"""As long as browsers take one (CA/Browser Forum, Apple)."""

RENEW_DAYS: Final = 60
LOOK_S: Final = 6 * 3600.0
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A certificate (with those above it) and its key, PEM."""

    certificate: Path
    key: Path


def files_of(settings: Settings) -> Files | None:
    """What this process speaks TLS with; None: it does not. Raises SettingsError."""
    if settings.tls_own_ca:
        return OwnCa(settings.state_dir / "tls").leaf(settings.host_names)
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    for path in (settings.tls_certificate, settings.tls_key):
        if not path.is_file():
            raise SettingsError(f"tls: {path} is not there, or cannot be read by this account")
    return Files(certificate=settings.tls_certificate, key=settings.tls_key)


def harden(context: ssl.SSLContext) -> None:
    """Nothing older than TLS 1.2, and there nothing but forward-secret AEAD (RFC 9325)."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION


class Renewal:
    """Looks from time to time whether there is a newer certificate, and takes it without a restart."""

    def __init__(self, context: ssl.SSLContext, find: Callable[[], Files | None]) -> None:
        self._context = context
        self._find = find
        self._seen = b""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tls", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join(5)

    def look(self) -> bool:
        """Take what is newer, for connections that come; whether there was anything."""
        try:
            found = self._find()
            if found is None or found.certificate.read_bytes() == self._seen:
                return False
            self._context.load_cert_chain(found.certificate, found.key)
            self._seen = found.certificate.read_bytes()
        except (OSError, SettingsError) as error:  # the one that is in use goes on
            log.warning("tls: the certificate could not be renewed: %s", error)
            return False
        return True

    def _run(self) -> None:
        self.look()
        while not self._stopping.wait(LOOK_S):
            self.look()


class OwnCa:
    """The CA in `folder`. `clock`: the time now."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = folder
        self._clock = clock

    @property
    def certificate(self) -> x509.Certificate:
        """What devices install. Raises SettingsError where there is none."""
        return _certificate(self._folder / "ca.crt")

    def leaf(self, names: Iterable[str]) -> Files:
        """A certificate for these names, made or renewed where need be. Raises SettingsError."""
        wanted = frozenset(name.strip("[]").lower() for name in names if name)
        files = Files(certificate=self._folder / "server.crt", key=self._folder / "server.key")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._folder / "ca.crt").exists():
            self._make_ca(wanted)
        if missing := wanted - names_of_ca(self.certificate):
            raise SettingsError(
                f"tls: the CA in {self._folder} was made for other names than {', '.join(sorted(missing))}; move the"
                " folder away to have one made that knows them, and install it on every device again"
            )
        if not self._is_good(files, wanted):
            self._make_leaf(files, wanted)
        return files

    def _is_good(self, files: Files, wanted: frozenset[str]) -> bool:
        if not (files.certificate.exists() and files.key.exists()):
            return False
        try:
            found = _certificate(files.certificate)
            _key(files.key)
        except (SettingsError, ValueError):
            return False
        lasts = found.not_valid_after_utc - self._clock() > timedelta(days=RENEW_DAYS)
        return lasts and names_of(found) == wanted and found.issuer == self.certificate.subject

    def _make_ca(self, names: frozenset[str]) -> None:
        key, now = ec.generate_private_key(ec.SECP256R1()), self._clock()
        mark = hashlib.sha256(_point(key)).hexdigest()[:8]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Sekisho {min(names)} {mark}")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = (
            _builder(name, name, key.public_key(), now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.NameConstraints([_subtree(one) for one in sorted(names)], excluded_subtrees=None), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self._folder / "ca.key", _pem(key), 0o600)
        _write(self._folder / "ca.crt", made.public_bytes(serialization.Encoding.PEM), 0o644)
        log.warning("tls: a CA of this site was made; devices install it from /ca. SHA-256 %s", fingerprint(made))

    def _make_leaf(self, files: Files, names: frozenset[str]) -> None:
        above, above_key = self.certificate, _key(self._folder / "ca.key")
        now = self._clock()
        if not above.not_valid_before_utc <= now < above.not_valid_after_utc:
            raise SettingsError(f"tls: the clock says {now:%Y-%m-%d}, outside of the time of the CA in {self._folder}")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, min(names))])
        made = (
            _builder(subject, above.subject, key.public_key(), now, LEAF_DAYS, above)
            .add_extension(x509.SubjectAlternativeName([_general(one) for one in sorted(names)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above_key.public_key()), critical=False)
            .sign(above_key, hashes.SHA256())
        )
        _write(files.key, _pem(key), 0o600)
        _write(files.certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, in pairs, as browsers and systems show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """What a certificate is for."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = (str(one) for one in found.get_values_for_type(x509.IPAddress))
    return frozenset({*found.get_values_for_type(x509.DNSName), *addresses})


def names_of_ca(ca: x509.Certificate) -> frozenset[str]:
    """What certificates below a CA of ours may be for."""
    trees = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    return frozenset(
        str(tree.value.network_address) if isinstance(tree.value, IPv4Network | IPv6Network) else str(tree.value)
        for tree in trees
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int,
    above: x509.Certificate | None = None,
) -> x509.CertificateBuilder:  # fmt: skip
    begins, ends = now - timedelta(days=1), now + timedelta(days=days)
    if above is not None:
        begins, ends = max(begins, above.not_valid_before_utc), min(ends, above.not_valid_after_utc)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return made.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subtree(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_network(name))
    except ValueError:
        return x509.DNSName(name)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls: {path} cannot be read: {error}") from error


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A key of ours. Raises SettingsError where others may read it, or it is none."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"tls: {path} may be read by others; make a new CA if it was")
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls: {path} cannot be read: {error}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"tls: {path} is no key of ours")
    return found


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
