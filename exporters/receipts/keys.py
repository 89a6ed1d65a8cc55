"""The keys that receipts are signed with: the app makes them itself, and nobody has to configure any.

The private part is a secret in the vault, under a name of its own; the public parts of all keys that were ever used are
one document, and are told to everyone. The secret is stored before the public part is registered, so a registered key
can always be used; of two instances that make one at the same time, the one that registers second uses the other's key,
and its own secret is never used. A key is retired by writing `"retired": true` beside it in the document: then the next
receipt makes a new one, and what the old one has signed can still be verified.

JSON Web Keys: https://www.rfc-editor.org/rfc/rfc7517, of Ed25519: https://www.rfc-editor.org/rfc/rfc8037
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import InvalidKeyError
from jwt.algorithms import OKPAlgorithm
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from exporters.errors import ConfigError
from exporters.parts import Parts
from exporters.storage import paths

#: https://www.rfc-editor.org/rfc/rfc8037#section-3.1
ALGORITHM = "EdDSA"
#: Hexadecimal digits of a key's id. Ours: it tells keys of one app apart.
ID_CHARS = 32


class PublicKey(BaseModel):
    """A key to verify receipts with."""

    model_config = ConfigDict(frozen=True)

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str = Field(description="names it in the header of each receipt that it has signed")
    x: str = Field(description="the key, 32 bytes in base64url without padding")


class PublicKeys(BaseModel):
    """A JSON Web Key Set."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[PublicKey, ...] = ()


class Registered(BaseModel):
    """A key that was made, as the document of all keys has it."""

    model_config = ConfigDict(frozen=True)

    key: PublicKey
    created: AwareDatetime
    retired: bool = False  #: nothing more is signed with it


class Register(BaseModel):
    """All keys that were ever made, oldest first. Stored as `config/receipt-keys.json`, changed under its ETag."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[Registered, ...] = ()

    @property
    def in_force(self) -> PublicKey | None:
        """The key that is signed with; None where there is none, or none that is not retired."""
        return next((entry.key for entry in reversed(self.keys) if not entry.retired), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that can sign."""

    public: PublicKey
    private: Ed25519PrivateKey


def public_keys(parts: Parts) -> PublicKeys:
    """The public parts of all keys that were ever made."""
    return PublicKeys(keys=tuple(entry.key for entry in _read(parts).keys))


def signing_key(parts: Parts) -> SigningKey:
    """The key in force; the first time, and after one was retired, a new one.

    Raises ConfigError when the vault refuses, or has another key under the name; TransientError when it is away.
    """
    public = _read(parts).in_force or _make(parts)
    secret = parts.secrets.get(paths.receipt_secret(public.kid))
    private = _private(secret)
    if private is None or _public(private) != public:
        raise ConfigError(
            f"The secret {paths.receipt_secret(public.kid)} of the vault is not the key that receipts are signed with:"
            f" bring its former version back, or retire the key {public.kid} in {paths.RECEIPT_KEYS}"
        )
    return SigningKey(public=public, private=private)


def _read(parts: Parts) -> Register:
    found = parts.documents.read(Register, paths.RECEIPT_KEYS)
    return Register() if found is None else found.value


def _make(parts: Parts) -> PublicKey:
    """Make a key, store it, and register it unless somebody else was faster; answers the one that is in force then."""
    private = Ed25519PrivateKey.generate()
    made = Registered(key=_public(private), created=parts.now())
    parts.secrets.set(paths.receipt_secret(made.key.kid), SecretStr(json.dumps(OKPAlgorithm.to_jwk(private, True))))
    register = parts.documents.change(
        Register,
        paths.RECEIPT_KEYS,
        lambda now: now if now.in_force is not None else Register(keys=(*now.keys, made)),
        default=Register(),
    )
    return register.in_force or made.key


def _public(private: Ed25519PrivateKey) -> PublicKey:
    members = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    # The digest that https://www.rfc-editor.org/rfc/rfc7638 defines, cut and in digits that names of secrets may have.
    named = {name: members[name] for name in ("crv", "kty", "x")}
    digest = sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return PublicKey(kid=digest[:ID_CHARS], x=str(members["x"]))


def _private(secret: SecretStr) -> Ed25519PrivateKey | None:
    """The key of a secret; None where that is none."""
    try:
        key = OKPAlgorithm.from_jwk(secret.get_secret_value())
    except (InvalidKeyError, ValueError):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
