"""`python -m infra.local.sandbox.brevo`"""

from infra.local.sandbox.brevo.faults import BrevoFaults
from infra.local.sandbox.brevo.sandbox import DEFAULT_KEY, BrevoSandbox
from infra.local.sandbox.process import arguments, serve

parser = arguments("brevo", BrevoFaults)
parser.add_argument("--api-key", default=DEFAULT_KEY, help="the key that is accepted")
parser.add_argument("--other-key", action="append", default=[], help="one more key of the same account")
parser.add_argument("--language", choices=("en", "fr"), default="en", help="of the names of the default attributes")
options = parser.parse_args()
serve(
    BrevoSandbox(
        port=options.port,
        api_key=options.api_key,
        other_keys=options.other_key,
        language=options.language,
        faults=options.faults,
    )
)
