"""Every problem that the API answers, by its code: a problem document (RFC 9457) says which one in its type.

A code is never renamed or reused, and its title never changes: programs go by the type, people read title and detail.
A type is a name, not an address, as the app may be called by any host name; `docs/errors` has a page for each code.
https://www.rfc-editor.org/rfc/rfc9457#section-3.1.1
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

#: What a type begins with; the code follows.
TYPE_PREFIX = "urn:segment-exporter:problem:"


class Problem(BaseModel):
    """A problem document (RFC 9457). Some have more members, such as the address of the run that is at work."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern=f"^{TYPE_PREFIX}[a-z]+(-[a-z]+)*$", description="what is wrong, for programs")
    title: str = Field(description="the same for people, always the same for a type")
    status: int = Field(ge=400, le=599, description="the HTTP status")
    detail: str = Field(description="what is wrong here, and what to do about it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What all problems of one code have in common."""

    code: str
    status: int
    title: str
    when: str  #: in which case it is answered
    remedy: str
    example: str  #: a detail

    @property
    def type(self) -> str:
        """As it stands in problem documents."""
        return f"{TYPE_PREFIX}{self.code}"


_KINDS = (
    # 400: the request is not what the OpenAPI document says.
    Kind(
        code="request-body",
        status=400,
        title="The body cannot be used",
        when="The body is no JSON, does not fit its schema (a field is missing, unknown or has a wrong value), or came"
        " to an address that takes none.",
        remedy="Correct the fields that the detail names. The OpenAPI document has the schema and an example.",
        example="full: must be true or false",
    ),
    Kind(
        code="request-query",
        status=400,
        title="The query cannot be used",
        when="A query parameter is none of this address, stands there twice, or has a value that it cannot have.",
        remedy="Correct the parameters that the detail names.",
        example="limit: must be at most 200",
    ),
    # 401 and 403: who asks.
    Kind(
        code="not-signed-in",
        status=401,
        title="Not signed in",
        when="The address needs a person or an application that has signed in, and the platform has signed nobody in.",
        remedy="Sign in, or send a token of the app's Entra registration as Authorization: Bearer. A function key opens"
        " only the addresses below /api/automation.",
        example="Sign in, or send a token of the app's Entra registration",
    ),
    Kind(
        code="forbidden",
        status=403,
        title="Not allowed",
        when="The caller's role does not include this, the connection (of a run: the one that it was started with) is"
        " not shared with contributors, or what is for people was called by an application.",
        remedy="Ask an administrator of the app for the role that the detail names, or to share the connection.",
        example="This needs the role Administrator; ask an administrator of the app for it",
    ),
    # 404: what is not there.
    Kind(
        code="no-such-address",
        status=404,
        title="No such address",
        when="Nothing is served at this address.",
        remedy="Compare the address with the OpenAPI document. Ids hold lower-case letters, digits and hyphens only.",
        example="Nothing is served at this address",
    ),
    Kind(
        code="no-such-connection",
        status=404,
        title="No such connection",
        when="There is no connection of this id.",
        remedy="List the connections; ids are case-sensitive.",
        example="There is no connection main; ids are case-sensitive",
    ),
    Kind(
        code="no-such-export",
        status=404,
        title="No such export",
        when="There is no export of this id.",
        remedy="List the exports; ids are case-sensitive.",
        example="There is no export newsletter; ids are case-sensitive",
    ),
    Kind(
        code="no-such-run",
        status=404,
        title="No such run",
        when="The export has no run of this id, or no longer.",
        remedy="List the runs of the export. The address of a run names its export and its id.",
        example="There is no run at this address; check the export and run ids",
    ),
    Kind(
        code="no-such-segment",
        status=404,
        title="No such segment",
        when="Nothing lies at this path of the segments container.",
        remedy="List the segments. A path is that of the folder of a segment, or of its file without the ending.",
        example="There is no segment at this path",
    ),
    Kind(
        code="no-such-erasure",
        status=404,
        title="No such erasure",
        when="There is no erasure of this id.",
        remedy="List the erasures.",
        example="There is no erasure of this id",
    ),
    Kind(
        code="no-rejects",
        status=404,
        title="There are no rejects",
        when="The run is a reconciliation, ended before its rejects were kept, or they were deleted since.",
        remedy="The detail says which it is. Start the export again to have new ones.",
        example="The run ended before it had a plan: the provider refuses the key",
    ),
    Kind(
        code="no-drift",
        status=404,
        title="There is nothing to show",
        when="The run is no reconciliation, or ended before it had compared list and ledger.",
        remedy="Start a reconciliation of the export, and look at its drift when it has ended.",
        example="This run is no reconciliation: start one, and look at its drift",
    ),
    Kind(
        code="method-not-allowed",
        status=405,
        title="Method not allowed",
        when="The address exists, but not with this method.",
        remedy="Use one of the methods in the header Allow.",
        example="Use one of GET, PUT at this address",
    ),
    # 409: what is asked for does not fit the state of things.
    Kind(
        code="run-active",
        status=409,
        title="A run is at work",
        when="Another run of the export, or one that uses the connection, is at work or held; the header Location and"
        " the member run have its address.",
        remedy="Wait for its end, cancel it, or decide about it where it is held.",
        example="A run of newsletter is at work",
    ),
    Kind(
        code="run-ended",
        status=409,
        title="The run has ended",
        when="What is to be canceled has ended.",
        remedy="Nothing is left to do.",
        example="The run has ended, its status is successful: there is nothing left to cancel",
    ),
    Kind(
        code="run-not-held",
        status=409,
        title="The run is not held",
        when="Only a held run can be approved or rejected. This one is not held, or somebody has decided otherwise.",
        remedy="Look at the run: its status says how it stands.",
        example="The run's status is processing: only a held run can be approved",
    ),
    Kind(
        code="nothing-to-retry",
        status=409,
        title="The run cannot be retried",
        when="The run has not ended, has delivered everybody, or is of a kind that is not retried.",
        remedy="The detail says which it is; start a run of the export where everybody is to be looked at anew.",
        example="Everybody whom the run had planned is delivered",
    ),
    Kind(
        code="nothing-to-repair",
        status=409,
        title="There is nothing to repair",
        when="The run is no reconciliation that has ended, or has found nobody missing.",
        remedy="Start a reconciliation of the export, and repair what it finds.",
        example="Nobody is missing on the list",
    ),
    Kind(
        code="nothing-to-undo",
        status=409,
        title="There is nothing to undo",
        when="The list has the people that this run left on it.",
        remedy="Name an earlier run.",
        example="The list has the people that this run left on it",
    ),
    Kind(
        code="no-ledger",
        status=409,
        title="There is no ledger",
        when="Nobody was delivered by this export yet, the run has written no ledger, or it was deleted.",
        remedy="The detail says which run to name instead, or what to start first.",
        example="That run put nobody on the list: go back to one that did",
    ),
    Kind(
        code="another-list",
        status=409,
        title="The ledger is of another list",
        when="The run to go back to filled another list, or used another connection.",
        remedy="Go back to a run of the list that the export fills now.",
        example="That run filled another list, or used another connection: go back to a run of this list",
    ),
    Kind(
        code="reconciliation-too-old",
        status=409,
        title="The reconciliation is too old",
        when="The ledger has changed since the reconciliation compared it with the list.",
        remedy="Start another reconciliation, and repair what that one finds.",
        example="A run has changed the ledger since: reconcile again",
    ),
    Kind(
        code="rejects-not-yet",
        status=409,
        title="Not yet",
        when="The rejects of a run are known when it has ended or is held.",
        remedy="Ask again after the seconds in Retry-After.",
        example="The run's status is processing: its rejects are known when it has ended, or is held",
    ),
    Kind(
        code="drift-not-yet",
        status=409,
        title="Not yet",
        when="The drift of a reconciliation is known when it has ended.",
        remedy="Ask again after the seconds in Retry-After.",
        example="The run's status is processing: how list and ledger differ is known when it has ended",
    ),
    Kind(
        code="configuration-not-applied",
        status=409,
        title="Not everything was done",
        when="A change of the file could not be made: somebody has changed the same thing meanwhile, a run of an export"
        " that was to be removed is at work, or the provider refused.",
        remedy="The detail names it, the member changes has what came of each. Settle it, and apply the file again.",
        example="The export newsletter could not be changed, and nothing after it: Somebody has changed it meanwhile",
    ),
    Kind(
        code="connection-exists",
        status=409,
        title="There is one already",
        when="A connection was to be made under an id that another one has.",
        remedy="Leave the id out, so that one is made of the display name, or take another.",
        example="There is a connection main already",
    ),
    Kind(
        code="connection-in-use",
        status=409,
        title="Exports use the connection",
        when="A connection was to be removed, and it was not said of every export that uses it what becomes of that.",
        remedy="Say remove or detach for each export that the member exports lists.",
        example="2 export(s) use the connection: say of each whether it is to be removed, or detached",
    ),
    Kind(
        code="other-account",
        status=409,
        title="Another account",
        when="A key, new or in the vault already, leads to another account of the provider than the connection's.",
        remedy="Take a key of the same account, or make a connection for the other one and attach the exports to it.",
        example="The key leads to another account than the connection's, whose lists are others",
    ),
    Kind(
        code="list-exists",
        status=409,
        title="There is such a list",
        when="A list was to be made under a name that one has in the account; the member id is that one's.",
        remedy="Use that list, or take another name.",
        example="There is a list named Newsletter in this account",
    ),
    Kind(
        code="export-exists",
        status=409,
        title="There is one already",
        when="An export was to be made under an id that another one has.",
        remedy="Leave the id out, so that one is made of the name, or take another.",
        example="There is an export newsletter already",
    ),
    Kind(
        code="receipt-not-yet",
        status=409,
        title="Not yet",
        when="There is a receipt once a run has ended.",
        remedy="Ask again after the seconds in Retry-After.",
        example="The run's status is processing: there is a receipt once it has ended",
    ),
    # 412 and 428: which version of a document is meant.
    Kind(
        code="changed-meanwhile",
        status=412,
        title="Changed meanwhile",
        when="If-Match names another version than the newest: somebody has changed the document since it was read.",
        remedy="Read it anew, make the change again, and send the new ETag.",
        example="Somebody has changed it since it was read: read it anew, and make the change again",
    ),
    Kind(
        code="if-match-missing",
        status=428,
        title="Which version?",
        when="A change of a document came without the header If-Match.",
        remedy="Send If-Match with the ETag that the document was read with, so that nobody's change is overwritten.",
        example="Send If-Match with the ETag that the document was read with, so that nobody's change is overwritten",
    ),
    # 413 and 415: the form of a body.
    Kind(
        code="too-large",
        status=413,
        title="The body is too large",
        when="The body has more bytes than the address takes.",
        remedy="Send less at once; the detail says how much is taken.",
        example="Send at most 1,000,000 bytes",
    ),
    Kind(
        code="correction-too-large",
        status=413,
        title="The file is too large",
        when="A file of corrections has more bytes than can be taken at once.",
        remedy="Divide the file, and keep its header on each part.",
        example="Post at most 16,777,216 bytes at once: divide the file, and keep its header on each part",
    ),
    Kind(
        code="media-type",
        status=415,
        title="Another media type is needed",
        when="Content-Type names a type that this address does not take.",
        remedy="Send the body in one of the types that the OpenAPI document names, and say so in Content-Type.",
        example="Send the body as application/json",
    ),
    # 422: what fits its schema and cannot be done.
    Kind(
        code="idempotency-key",
        status=422,
        title="Unusable Idempotency-Key",
        when="The header Idempotency-Key has more than 255 characters or others than visible ASCII, or was used for a"
        " request that wanted something else.",
        remedy="Use a new key for a new request, for example a UUID.",
        example="Use 1 to 255 visible ASCII characters, for example a UUID",
    ),
    Kind(
        code="export-unusable",
        status=422,
        title="The export cannot run",
        when="Something that the export needs is missing or refused: a segment, the connection, its key, the list.",
        remedy="Do what the detail says; then start it again.",
        example="The vault has no secret named sendgrid-key: create it, or correct its name where it is configured",
    ),
    Kind(
        code="preview-too-large",
        status=422,
        title="Too large for a preview",
        when="The files of the segments hold more than can be planned while a caller waits.",
        remedy="Start a run instead: a brake holds it before anything is written, should something look wrong.",
        example="The files of the segments hold about 4,000 MB, more than the 1,000 MB that a preview can plan in time",
    ),
    Kind(
        code="correction-unusable",
        status=422,
        title="The file cannot be used",
        when="A file of corrections lacks a column that it needs, or has lines that cannot be read.",
        remedy="Correct the lines that the detail names, and post the file again.",
        example="The file has no column email: keep the header of the rejects file",
    ),
    Kind(
        code="connection-unusable",
        status=422,
        title="The connection cannot be used",
        when="The provider refuses the key, the secret cannot be read or written, or there is no such provider.",
        remedy="Do what the detail says.",
        example="SendGrid refuses the API key (401): check that it is complete and was not deleted",
    ),
    Kind(
        code="consent-outdated",
        status=422,
        title="Another consent is needed",
        when="A version of the data privacy text was accepted that is not the one in force.",
        remedy="Read the text that GET /api/providers answers, and accept its version.",
        example="The data privacy text has a newer version, 2026-11-23: read and accept it",
    ),
    Kind(
        code="list-refused",
        status=422,
        title="The provider does not take the list",
        when="The provider refuses to make a list: its name is too long for it, or the account has room for no more.",
        remedy="The detail has the provider's words.",
        example="SendGrid takes names of up to 100 characters",
    ),
    Kind(
        code="configuration-unusable",
        status=422,
        title="The configuration cannot be used",
        when="Something in the file cannot be set up: a secret that is not in the vault, a list or a column that is not"
        " there, a connection that nobody names. Or a document that is stored cannot be read. Nothing was"
        " changed.",
        remedy="Correct what the member faults lists, each with its place in the file; or the stored document that the"
        " detail names.",
        example="exports[3].list_id (line 41): There is no list 17 in this account",
    ),
    # 500 and 503: what the caller can do nothing about, or only later.
    Kind(
        code="unexpected",
        status=500,
        title="Something went wrong",
        when="The app has met what it was not made for. The log has an entry under the reference in the detail.",
        remedy="Try again; if it comes again, give the reference to whoever runs the app.",
        example="Please try again, and if it comes again give the reference 3f2a to whoever runs the app",
    ),
    Kind(
        code="state-unreadable",
        status=500,
        title="The app's state cannot be read",
        when="A document in the state container does not fit its model: somebody has edited it by hand.",
        remedy="Correct the document that the detail names, or restore an earlier version of it.",
        example="config/exports/newsletter.json cannot be used: name: is missing",
    ),
    Kind(
        code="storage-unreachable",
        status=503,
        title="Not now",
        when="The app's storage did not answer as it should, or the temporary disk of its instance is full.",
        remedy="Try again after the seconds in Retry-After. If it lasts, look at the storage account and its firewall,"
        " or at what the detail says of the disk.",
        example="The app's storage did not answer as it should; try again",
    ),
    Kind(
        code="receipt-unsigned",
        status=503,
        title="The receipt cannot be signed",
        when="The receipt was not signed when the run ended, and the vault refuses now.",
        remedy="Let the app write secrets to the vault, as the detail says, and ask again.",
        example="The vault refuses to store the secret receipt-key-1 (403): give the app's identity the role on the"
        " vault that docs/identity.md names",
    ),
    Kind(
        code="busy",
        status=503,
        title="Not now",
        when="This instance plans another run, and has memory for one at a time.",
        remedy="Try again after the seconds in Retry-After.",
        example="Another run is being planned here; try again",
    ),
    Kind(
        code="throttled",
        status=503,
        title="Not now",
        when="The provider wants no request on the account for some time.",
        remedy="Try again after the seconds in Retry-After.",
        example="SendGrid wants no request for 30 seconds",
    ),
    Kind(
        code="not-ready",
        status=503,
        title="Not now",
        when="A snapshot is still being written, or a server did not answer.",
        remedy="Try again after the seconds in Retry-After.",
        example="The newest snapshot of the segment is still being written",
    ),
    Kind(
        code="configuration-unfinished",
        status=503,
        title="There is more to do",
        when="The file changes more than can be changed while a caller waits; the member changes has what was done.",
        remedy="Apply the same file again: it goes on where it was.",
        example="There was no time for all of it: 900 changes were made, 300 are left. Apply the file again",
    ),
    Kind(
        code="preview-too-slow",
        status=503,
        title="Not in time",
        when="The preview was not ready while a caller can wait.",
        remedy="Try again later, or start a run: a brake holds it before anything is written.",
        example="The preview was not ready within 200 seconds",
    ),
)
PROBLEMS = {kind.code: kind for kind in _KINDS}
