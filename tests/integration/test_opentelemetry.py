"""OpenTelemetry: the usual instrumentation of httpx sees every attempt of the default engine, and never the key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_span_id, format_trace_id

from llamadapro import AsyncLlamadaPro, InternalServerError
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.server import Server
from tests.clocks import FakeClock
from tests.faults.clients import KEY
from tests.openapi import path_of

CONTACTS = path_of("GetContacts")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracer]:
    """httpx is instrumented while the test runs; each span is exported as soon as it has ended."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # the names of attributes that are to stay
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield provider.get_tracer("app")
    instrumentor.uninstrument()
    provider.shutdown()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(api_key=KEY)
    yield sandbox
    sandbox.close()


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[Server]:
    with sandbox.serve() as server:
        yield server


def attempts(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]


async def test_a_span_for_each_attempt_within_the_span_of_the_app(
    tracer: Tracer, exporter: InMemorySpanExporter, sandbox: Sandbox, server: Server
) -> None:
    sandbox.faults.add("status", status=503, times=1)
    async with AsyncLlamadaPro(KEY, server.url, _clock=FakeClock()) as client:
        with tracer.start_as_current_span("work") as work:
            await client.contacts.list(search_by="Jane")
            await client.contacts.create(first_name="Jane")
    spans = attempts(exporter)
    assert [(span.attributes or {})["http.response.status_code"] for span in spans] == [503, 200, 200]
    assert [span.name for span in spans] == ["GET", "GET", "POST"]
    assert {span.parent and span.parent.span_id for span in spans} == {work.get_span_context().span_id}
    assert spans[0].status.status_code is StatusCode.ERROR
    assert (spans[2].attributes or {})["url.full"] == f"{server.url}{CONTACTS}"


async def test_the_service_learns_which_span_a_request_belongs_to(
    tracer: Tracer, exporter: InMemorySpanExporter, sandbox: Sandbox, server: Server
) -> None:
    sandbox.faults.add("status", status=429, times=1)
    async with AsyncLlamadaPro(KEY, server.url, _clock=FakeClock()) as client:
        await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi")
        await client.contacts.list()
    reported = [request.headers["traceparent"].split("-")[1:3] for request in sandbox.requests]
    contexts = [span.context for span in attempts(exporter)]
    assert len(reported) == 3
    assert reported == [[format_trace_id(one.trace_id), format_span_id(one.span_id)] for one in contexts]


async def test_the_key_is_in_no_span(
    tracer: Tracer, exporter: InMemorySpanExporter, sandbox: Sandbox, server: Server
) -> None:
    sandbox.faults.add("reset", times=1)
    sandbox.faults.add("status", status=500, times=1)
    async with AsyncLlamadaPro(KEY, server.url, _clock=FakeClock()) as client:
        await client.contacts.list()
        sandbox.faults.add("status", status=500, times=1)
        with pytest.raises(InternalServerError):
            await client.contacts.create(first_name="Jane")
    spans = attempts(exporter)
    assert len(spans) == 4
    assert spans[0].events[0].name == "exception"
    assert KEY not in "".join(span.to_json() for span in spans)


async def test_a_client_built_before_is_seen_as_well(
    exporter: InMemorySpanExporter, server: Server, request: pytest.FixtureRequest
) -> None:
    async with AsyncLlamadaPro(KEY, server.url) as client:
        await client.contacts.list()
        request.getfixturevalue("tracer")
        await client.contacts.list()
        assert len(attempts(exporter)) == 1
