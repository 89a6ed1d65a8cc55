"""A sandbox of Azure Key Vault: secrets, over TLS, for the real `SecretClient`.

https://learn.microsoft.com/rest/api/keyvault/secrets
"""

import datetime as dt
import ipaddress
import json
import re
import ssl
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.sandbox.faults import Faults
from infra.local.sandbox.process import arguments, serve
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import RefusedError, Sandbox
from infra.local.sandbox.server import Reply, Request

#: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
NAME = re.compile(r"[0-9A-Za-z-]{1,127}")

#: Clients ask without a token first, and learn from this where to get one.
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/sandbox", resource="https://vault.azure.net"'

ERROR_CODES = {401: "Unauthorized", 403: "Forbidden", 404: "SecretNotFound", 409: "Conflict", 429: "Throttled"}

#: How long a deleted secret can be recovered. https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
RETENTION_S = 90 * 24 * 3600

CERTIFICATE_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a secret."""

    value: str
    created: int  #: Unix time
    more: dict[str, Any]  #: tags and content type, where they were given


class KeyVaultFaults(Faults):
    """Faults of the Key Vault sandbox."""

    forbidden: bool = False  #: 403 as without any role
    read_only: bool = False  #: 403 for whatever changes a secret, as with the role Key Vault Secrets User
    firewall_closed: bool = False  #: 403 that blames the address of the caller
    disabled: frozenset[str] = frozenset()  #: names of secrets that are disabled


class KeyVaultSandbox(Sandbox[KeyVaultFaults]):
    """`with KeyVaultSandbox(secrets={"name": "value"}) as vault:` serves at `vault.url` with `vault.certificate`.

    Any bearer token is accepted. The client is made with `verify_challenge_resource=False` and with
    `connection_verify=str(vault.certificate)`.
    """

    name: ClassVar = "key_vault"

    def __init__(
        self, *, secrets: Mapping[str, str] | None = None, port: int = 0, faults: KeyVaultFaults | None = None
    ) -> None:
        self._secrets_at_start = dict(secrets or {})
        self._folder = tempfile.TemporaryDirectory(prefix="key-vault-sandbox-")
        self.certificate, key = make_certificate(Path(self._folder.name))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, key)
        super().__init__(faults=faults or KeyVaultFaults(), port=port, tls=tls)

    def clear(self) -> None:
        self._versions: dict[str, dict[str, Version]] = {}  # name -> version
        self._deleted: set[str] = set()  # names that are kept for those who want to recover them
        for name, value in self._secrets_at_start.items():
            self._add(name, value)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/secrets/{name}", self._get),
            Route("GET", "/secrets/{name}/{version}", self._get),
            Route("PUT", "/secrets/{name}", self._put),
            Route("DELETE", "/secrets/{name}", self._delete),
        )

    def error(self, status: int, message: str, inner: str | None = None) -> Reply:
        error = {"code": ERROR_CODES.get(status, "InternalError"), "message": message}
        more = {} if inner is None else {"innererror": {"code": inner}}
        return Reply.json({"error": {**error, **more}}, status)

    def throttled(self, reset_s: int) -> Reply:
        reply = self.error(429, "too many requests")
        return Reply(status=429, body=reply.body, headers={**reply.headers, "Retry-After": str(reset_s)})

    def refuse(self, request: Request, route: str) -> Reply | None:
        if self.faults.unauthorized or not request.headers.get("Authorization", "").startswith("Bearer "):
            reply = self.error(401, "AKV10000: Request is missing a Bearer or PoP token.")
            return Reply(status=401, body=reply.body, headers={**reply.headers, "WWW-Authenticate": CHALLENGE})
        if self.faults.firewall_closed:
            return self.error(
                403, "Client address is not authorized and caller is not a trusted service.", "ForbiddenByFirewall"
            )
        if self.faults.forbidden or (self.faults.read_only and not route.startswith("GET ")):
            return self.error(403, "Caller is not authorized to perform action on resource.", "ForbiddenByRbac")
        return None

    def _add(self, name: str, value: str, more: dict[str, Any] | None = None) -> str:
        version = uuid.uuid4().hex
        self._versions.setdefault(name, {})[version] = Version(value=value, created=int(time.time()), more=more or {})
        return version

    def _get(self, _: Request, name: str, version: str = "") -> Reply:
        versions = self._versions.get(name, {})
        wanted = version or next(reversed(versions), "")
        if wanted not in versions:
            raise RefusedError(self.error(404, "A secret with this name and version was not found in this key vault."))
        if name in self.faults.disabled:
            raise RefusedError(self.error(403, "Operation get is not allowed on a disabled secret.", "SecretDisabled"))
        return self._shown(name, wanted)

    def _put(self, request: Request, name: str) -> Reply:
        try:
            wanted = orjson.loads(request.body)
            value = wanted["value"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise RefusedError(self.error(400, "The request body must hold a value.")) from None
        if not NAME.fullmatch(name):
            raise RefusedError(self.error(400, "The request URI contains an invalid name."))
        if name in self._deleted:
            message = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused."
            raise RefusedError(self.error(409, message, "ObjectIsDeletedButRecoverable"))
        more = {key: wanted[key] for key in ("tags", "contentType") if wanted.get(key)}
        return self._shown(name, self._add(name, value, more))

    def _delete(self, _: Request, name: str) -> Reply:
        """Delete all versions at once; the name stays taken."""
        versions = self._versions.pop(name, None)
        if versions is None:
            raise RefusedError(self.error(404, f"A secret with name {name} was not found in this key vault."))
        self._deleted.add(name)
        now = int(time.time())
        return Reply.json(
            {
                "id": f"{self.url}/secrets/{name}/{next(reversed(versions))}",
                "recoveryId": f"{self.url}/deletedsecrets/{name}",
                "deletedDate": now,
                "scheduledPurgeDate": now + RETENTION_S,
                "attributes": {"enabled": True, "recoveryLevel": "Recoverable+Purgeable"},
            }
        )

    def _shown(self, name: str, version: str) -> Reply:
        shown = self._versions[name][version]
        return Reply.json(
            {
                "value": shown.value,
                "id": f"{self.url}/secrets/{name}/{version}",
                "attributes": {"enabled": True, "created": shown.created, "updated": shown.created},
                **shown.more,
            }
        )


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost and its key; answers both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Key Vault sandbox")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


def main() -> None:
    parser = arguments("key_vault", KeyVaultFaults)
    parser.add_argument("--secrets", type=Path, help="JSON file with an object of names and values")
    options = parser.parse_args()
    secrets = json.loads(options.secrets.read_bytes()) if options.secrets else {}
    vault = KeyVaultSandbox(port=options.port, secrets=secrets, faults=options.faults)
    serve(vault, certificate=str(vault.certificate))


if __name__ == "__main__":
    main()
