"""`python -m infra.local.sandbox.sendgrid`"""

from infra.local.sandbox.process import arguments, serve
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.sandbox import DEFAULT_KEY, SendGridSandbox

parser = arguments("sendgrid", SendGridFaults)
parser.add_argument("--api-key", default=DEFAULT_KEY, help="the key that is accepted")
parser.add_argument("--other-key", action="append", default=[], help="one more key of the same account")
options = parser.parse_args()
serve(SendGridSandbox(port=options.port, api_key=options.api_key, other_keys=options.other_key, faults=options.faults))
