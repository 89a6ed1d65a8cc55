"""The Brevo (Sendinblue) sandbox: contacts, lists, attributes, imports and processes.

Contract: https://api.brevo.com/v3/swagger_definition_v3.yml
"""

from infra.local.sandbox.brevo.faults import BrevoFaults
from infra.local.sandbox.brevo.sandbox import BrevoSandbox

__all__ = ["BrevoFaults", "BrevoSandbox"]
