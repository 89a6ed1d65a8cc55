"""The key that signs receipts: made once, by whoever comes first, and never lost."""

import json
import threading
from dataclasses import replace

import jwt
import pytest
from pydantic import SecretStr

from exporters.errors import ConfigError, StorageConflictError
from exporters.receipts.keys import Register, SigningKey, public_keys, signing_key
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.mortal import Mortal
from tests.world import World


@pytest.fixture
def world() -> World:
    return World()


def is_usable(key: SigningKey) -> bool:
    """Whether what the private part signs is verified with the public one."""
    signed = jwt.PyJWS().encode(b"{}", key.private, algorithm="EdDSA")
    verified = jwt.PyJWS().decode(signed, jwt.PyJWK(key.public.model_dump()), algorithms=["EdDSA"])
    return bool(verified == b"{}")


def test_a_key_is_made_once_and_its_private_part_is_in_the_vault_only(world):
    first, second = signing_key(world.parts), signing_key(world.parts)

    assert first.public == second.public
    assert is_usable(second)
    (secret,) = (value for name, value in world.secrets.values.items() if name.startswith("receipt-signing-key-"))
    private = json.loads(secret)["d"]
    assert not any(private.encode() in world.state.get(blob.name).data for blob in world.state.list(""))


def test_before_the_first_receipt_there_is_no_key(world):
    assert public_keys(world.parts).keys == ()


def test_of_two_who_make_one_at_once_both_end_with_the_same(world):
    class Meeting(MemoryBlobStore):
        """Lets both come to the write before either has written."""

        both = threading.Barrier(2)

        def create(self, name, data, *, metadata=None):
            if name == paths.RECEIPT_KEYS:
                self.both.wait(timeout=20)
            return super().create(name, data, metadata=metadata)

    parts = replace(world.parts, state=Meeting(now=world.now))
    found: list[SigningKey] = []
    threads = [threading.Thread(target=lambda: found.append(signing_key(parts))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found[0].public == found[1].public
    assert [is_usable(key) for key in found] == [True, True]
    assert len(public_keys(parts).keys) == 1


def test_wherever_a_process_dies_the_next_one_has_a_key_that_works():
    for dies_at in range(3):
        world = World()
        mortal = Mortal(world, counts=lambda *_: True, dies_at=dies_at)
        mortal.survives(lambda world=world: signing_key(world.exporter.parts))

        key = signing_key(world.parts)

        assert is_usable(key)
        assert [key.public] == list(public_keys(world.parts).keys)


def test_a_retired_key_is_still_told_and_another_one_signs(world):
    first = signing_key(world.parts)
    world.parts.documents.change(
        Register,
        paths.RECEIPT_KEYS,
        lambda now: Register(keys=tuple(entry.model_copy(update={"retired": True}) for entry in now.keys)),
    )

    second = signing_key(world.parts)

    assert first.public != second.public
    assert list(public_keys(world.parts).keys) == [first.public, second.public]
    assert signing_key(world.parts).public == second.public


@pytest.mark.parametrize("value", ["", "not a key", '{"kty": "OKP"}', '{"kty": "RSA"}', "another"])
def test_a_secret_that_is_not_the_key_is_named(world, value):
    kid = signing_key(world.parts).public.kid
    if value == "another":
        other = World()
        signing_key(other.parts)
        value = next(text for name, text in other.secrets.values.items() if name.startswith("receipt"))
    name = paths.receipt_secret(kid)
    world.secrets.delete(name)
    world.secrets.set(name, SecretStr(value))

    with pytest.raises(ConfigError, match=f"{name} of the vault is not the key") as error:
        signing_key(world.parts)
    assert kid in str(error.value)


def test_a_vault_that_refuses_leaves_no_key_that_nobody_has(world):
    class Closed(type(world.secrets)):
        def set(self, name, value):
            raise ConfigError("The vault refuses")

    parts = replace(world.parts, secrets=Closed({}))

    with pytest.raises(ConfigError, match="The vault refuses"):
        signing_key(parts)
    assert public_keys(parts).keys == ()
    assert signing_key(world.parts).public is not None


def test_a_register_that_is_changed_all_the_time_is_an_error(world):
    class Busy(MemoryBlobStore):
        def create(self, name, data, *, metadata=None):
            raise StorageConflictError(f"{name} exists already")

    with pytest.raises(StorageConflictError):
        signing_key(replace(world.parts, state=Busy(now=world.now)))
