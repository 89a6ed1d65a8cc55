"""The SendGrid sandbox: marketing contacts, lists, custom fields, import jobs and suppressions.

Contract: https://github.com/twilio/sendgrid-oai, `spec/json/tsg_mc_{contacts,lists,custom_fields}_v3.json`, 2026-01-22.
"""

from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.sandbox import SendGridSandbox

__all__ = ["SendGridFaults", "SendGridSandbox"]
