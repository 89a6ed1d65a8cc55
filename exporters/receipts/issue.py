"""Issue the receipt of a run: made from its documents once, signed, and stored beside them.

It is signed when the run ends, so that it shows whether its documents were changed later. Where that could not be done
then, because the vault was away, it is done when somebody asks for it. The first one stored stands.

JSON Web Signature, compact: https://www.rfc-editor.org/rfc/rfc7515#section-3.1
"""

import logging

import jwt
from azure.core.exceptions import AzureError
from pydantic import BaseModel, ConfigDict, Field

from exporters import log
from exporters.errors import ExporterError, StorageConflictError
from exporters.history.batches import BatchView, batches
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.receipts.keys import ALGORITHM, signing_key
from exporters.receipts.receipt import Batch, Receipt, receipt_of
from exporters.storage import paths

#: Says in the header what is signed, so that nothing else that is signed with the key could be taken for a receipt.
TYPE = "segment-exporter-receipt"


class SignedReceipt(BaseModel):
    """A receipt to read, and the same receipt signed: only what is in `signed` is proved by the signature."""

    model_config = ConfigDict(frozen=True)

    receipt: Receipt
    signed: str = Field(description="compact JSON Web Signature (EdDSA) whose payload is the receipt, as UTF-8 JSON")


def issue(parts: Parts, run: Run) -> SignedReceipt:
    """The receipt of a run that has ended; the same each time.

    Raises ConfigError when the vault refuses to hand out or to store the signing key, TransientError when it is away.
    """
    path = paths.receipt(run.export.id, run.id)
    found = parts.documents.read(SignedReceipt, path)
    if found is not None:
        return found.value
    receipt = receipt_of(run, tuple(map(_batch, batches(parts, run, offset=0, limit=len(run.batches)))))
    signed = SignedReceipt(receipt=receipt, signed=_sign(parts, receipt))
    if parts.documents.create(path, signed):
        log.step("receipt", "issued", export=run.export.id, run_id=run.id)
        return signed
    found = parts.documents.read(SignedReceipt, path)
    if found is None:
        raise StorageConflictError(f"{path} is gone")
    return found.value


def try_to_issue(parts: Parts, run: Run) -> None:
    """As `issue`, where nothing depends on it: what goes wrong is logged, and made up for by whoever asks."""
    try:
        issue(parts, run)
    except (ExporterError, AzureError) as error:
        keys = {"export": run.export.id, "run_id": run.id, "error": type(error).__name__}
        log.step("receipt", "later", level=logging.WARNING, **keys)


def _sign(parts: Parts, receipt: Receipt) -> str:
    key = signing_key(parts)
    headers = {"kid": key.public.kid, "typ": TYPE}
    return jwt.PyJWS().encode(receipt.canonical(), key.private, algorithm=ALGORITHM, headers=headers)


def _batch(view: BatchView) -> Batch:
    return Batch.model_validate(view.model_dump(include=set(Batch.model_fields)))
