import pytest

from infra.local.host.context import Context

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def parts(traceparent: str) -> list[str]:
    return traceparent.split("-")


def test_a_call_has_a_span_of_its_own_in_its_caller_s_trace():
    version, trace, span, flags = parts(Context.of("echo", {"TraceParent": CALLER}).trace_context.trace_parent)

    assert (version, trace, flags) == ("00", parts(CALLER)[1], "01")
    assert span != parts(CALLER)[2]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"}])
def test_a_call_that_names_no_trace_has_a_new_one(headers):
    traces = {parts(Context.of("echo", headers).trace_context.trace_parent)[1] for _ in range(3)}

    assert len(traces) == 3
    assert "0" * 32 not in traces


def test_calls_are_told_apart():
    assert Context.of("echo", {}).invocation_id != Context.of("echo", {}).invocation_id
