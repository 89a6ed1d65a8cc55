"""What the page on notifications shows a receiver is true: the sample body, and both ways to verify a signature."""

import json
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporters.model.notification import Body
from exporters.notifications.signing import signed_headers
from tests.world_receiver import OLD_SECRET, SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
NODE = shutil.which("node") or ""
BODY = '{"type":"run.ended","name":"Žuja"}'.encode()


def sample(language: str) -> str:
    """The last piece of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[-1]


def signed(*, age_s: float = 0) -> dict[str, str]:
    at = datetime.fromtimestamp(time.time() - age_s, UTC)
    return dict(signed_headers(SecretStr(f"{SECRET} {OLD_SECRET}"), "newsletter_1_ended", at, BODY))


def test_the_sample_body_is_one():
    shown = json.loads(sample("json"))
    body = Body.model_validate_json(json.dumps(shown))

    assert json.loads(body.model_dump_json()) == shown
    sums = body.data.sums
    assert sums.closes
    assert sums.planned == sums.delivered + sums.refused + sums.unknown


def verify_in_python(headers: dict[str, str], body: bytes, secret: str, folder: Path) -> bool:
    names: dict = {}
    exec(sample("python").replace("whsec_…", secret), names)  # noqa: S102 (our own page)
    try:
        return names["receive"](headers, body) == json.loads(BODY)
    except names["WebhookVerificationError"]:
        return False


def verify_in_node(headers: dict[str, str], body: bytes, secret: str, folder: Path) -> bool:
    script = folder / "verify.cjs"
    (folder / "body").write_bytes(body)
    call = f"verify({json.dumps(headers)}, require('node:fs').readFileSync('body'), {json.dumps(secret)})"
    script.write_text(f"{sample('js')}\nconsole.log(JSON.stringify({call}))\n")
    done = subprocess.run([NODE, str(script)], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 or "Error: not signed" in done.stderr or "Error: too old" in done.stderr, done.stderr
    return done.returncode == 0 and json.loads(done.stdout) == json.loads(BODY)


@pytest.mark.parametrize(
    "verify",
    [
        verify_in_python,
        pytest.param(verify_in_node, marks=pytest.mark.skipif(not NODE, reason="Node.js is not here")),
    ],
)
def test_what_the_page_shows_takes_what_is_signed_and_nothing_else(verify, tmp_path):
    other = "whsec_" + SECRET.removeprefix("whsec_")[::-1].lstrip("=") + "="

    assert verify(signed(), BODY, SECRET, tmp_path)
    assert verify(signed(), BODY, OLD_SECRET, tmp_path)
    assert not verify(signed(), BODY + b" ", SECRET, tmp_path)
    assert not verify(signed(), BODY, other, tmp_path)
    assert not verify(signed() | {"webhook-id": "another"}, BODY, SECRET, tmp_path)
    assert not verify(signed(age_s=600), BODY, SECRET, tmp_path)
