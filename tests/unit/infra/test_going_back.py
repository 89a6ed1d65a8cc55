"""What docs/deployment.md says of an older version that meets a member which only a newer one knows."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from exporters.model.connection import Connection
from exporters.model.export import EXAMPLE, Export
from exporters.model.lane import Lane
from exporters.model.messages import RunMessage
from exporters.model.run import ExportState

NEWER = {"of_a_newer_version": 1}
RUN = "79738868947999999-0123abcd"


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Export, {"id": "newsletter", **EXAMPLE}),
        (
            Connection,
            {"id": "main", "provider": "sendgrid", "display_name": "Main", "secret": "sendgrid-api-key"},
        ),
        (RunMessage, {"export": "newsletter", "run": RUN}),
    ],
)
def test_settings_and_messages_that_it_does_not_know_it_refuses(kind: type[BaseModel], document):
    kind.model_validate_json(json.dumps(document))
    with pytest.raises(ValidationError, match="of_a_newer_version"):
        kind.model_validate_json(json.dumps(document | NEWER))


@pytest.mark.parametrize(
    ("kind", "document"), [(ExportState, {"export": "newsletter"}), (Lane, {"account": "sendgrid-1"})]
)
def test_members_of_states_that_it_does_not_know_it_ignores_and_loses(kind: type[BaseModel], document):
    read = kind.model_validate_json(json.dumps(document | NEWER))
    assert "of_a_newer_version" not in read.model_dump()
