"""What comes in with a request: its address, body and query, and which version of a document it is about."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar, get_origin
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ValidationError

from exporters.api.answers import Answer, Request, problem
from exporters.model.faults import faults_of
from exporters.model.sizes import too_long

Model = TypeVar("Model", bound=BaseModel)

#: Ours: what is wrong with a body of a megabyte may be a long list. People need its beginning.
MAX_FAULTS = 2_000
#: Members that a list or an object in a body may have: as many as the longest list that a model takes.
MAX_MEMBERS = 10_000
#: The function key may come in the query, where it is none of ours.
#: https://learn.microsoft.com/azure/azure-functions/function-keys-how-to#authorize-with-a-function-key
KEY_PARAMETER = "code"


class _UnusableJsonError(ValueError):
    """What JSON should not hold, in a sentence for whoever sent it."""


def request_of(method: str, url: str, headers: Mapping[str, str], body: bytes, *, below: str = "/api") -> Request:
    """A request as the platform hands it over. `below` is where our addresses begin.

    What stands between the slashes of the path is decoded here; a slash that was escaped stays `%2F`, so it cannot make
    one part into two. The query is read from the address too: of a repeated parameter the platform makes one value.
    """
    target, _, query = url.partition("://")[2].partition("?")
    path = "/" + target.partition("/")[2]
    pairs = parse_qsl(query, keep_blank_values=True)
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        values[name].append(value)
    return Request(
        method=method,
        path="/".join(unquote(part).replace("/", "%2F") for part in path.removeprefix(below).split("/")),
        headers={name.lower(): value for name, value in headers.items()},
        query={name: value for name, value in pairs if name != KEY_PARAMETER},
        repeated={name: tuple(each) for name, each in values.items() if len(each) > 1},
        body=body,
    )


def read_body(kind: type[Model], request: Request) -> Model | Answer:
    """The JSON body of a request, or its defaults where there is none; a 400 when it does not fit the model.

    More is refused than JSON itself refuses: names that stand twice in one object, numbers that are none, and lists and
    objects of more members than any model takes. Nesting beyond what the parsers take, and bytes that are not UTF-8,
    are refused by them.
    """
    try:
        if not request.body.strip():
            return kind()
        _check_lengths(json.loads(request.body.decode(), object_pairs_hook=_unique, parse_constant=_no_number))
        return kind.model_validate_json(request.body)
    except ValidationError as error:
        detail = cut(faults_of(error))
    except _UnusableJsonError as error:
        detail = cut(str(error))
    except UnicodeDecodeError:
        detail = "The body is not UTF-8"
    except RecursionError:
        detail = "The body is nested too deeply"
    except ValueError:
        detail = "The body is not JSON"
    return problem("request-body", detail)


def read_query(kind: type[Model], request: Request) -> Model | Answer:
    """The query of a request; a 400 when it does not fit the model, which also knows no other parameters."""
    try:
        several = repeatable(kind)
        if not several:
            return kind.model_validate_strings(dict(request.query))
        # What is read from strings alone can hold no lists: https://docs.pydantic.dev/latest/concepts/models/
        single = {name: (value,) for name, value in request.query.items() if name in several}
        return kind.model_validate({**request.query, **single, **request.repeated})
    except ValidationError as error:
        return problem("request-query", cut(faults_of(error)))


def repeatable(kind: type[BaseModel]) -> frozenset[str]:
    """The parameters of a query that may stand there more than once: those that hold several values."""
    return frozenset(name for name, field in kind.model_fields.items() if get_origin(field.annotation) is tuple)


def stale(request: Request, etag: str) -> Answer | None:
    """Why a change cannot be made by a caller who names no version of the document, or another one than the newest.

    None where it can: If-Match is the document's ETag, or `*`. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
    """
    named = request.headers.get("if-match")
    if named is None:
        detail = "Send If-Match with the ETag that the document was read with, so that nobody's change is overwritten"
        return problem("if-match-missing", detail)
    if named.strip() == "*" or etag in [tag.strip() for tag in named.split(",")]:
        return None
    return changed_meanwhile()


def changed_meanwhile() -> Answer:
    """The answer where somebody has changed the document since it was read."""
    detail = "Somebody has changed it since it was read: read it anew, and make the change again"
    return problem("changed-meanwhile", detail)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises _UnusableJsonError where a name stands twice in it."""
    if len(found := dict(pairs)) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise _UnusableJsonError(f"{name}: stands there twice")
    return found


def _check_lengths(value: Any) -> None:
    """Raises _UnusableJsonError for more members than any model takes."""
    if isinstance(value, dict | list) and (long := too_long(value, MAX_MEMBERS)) is not None:
        place = ".".join(str(part) for part in long) or "document"
        raise _UnusableJsonError(f"{place}: has more than {MAX_MEMBERS:,} members")


def _no_number(word: str) -> NoReturn:
    raise _UnusableJsonError(f"{word} is no number in JSON")


def cut(text: str) -> str:
    """A text about faults, at the most so long as people read."""
    return text if len(text) <= MAX_FAULTS else f"{text[:MAX_FAULTS]} …"
