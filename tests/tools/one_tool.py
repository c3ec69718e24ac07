"""`python one_tool.py TOOL ENGINE ORDER`: what one tool sees of the client's requests, as JSON; see `tools.py`.

It runs in the tool's own environment, which has the client, its engines and the tool, and nothing of this project's
tests. A tracer must report each attempt with its status, under the span of the caller, and send its header along. A
mock must answer each attempt, and its own "no match" must come out as it is, after one attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llamadapro_api.api import get_contact

KEY = "sk-live-7f3a9d1c5e2b8640aa17"
STATUSES = [503, 200, 400]
"""Of the attempts of `traffic`: a read that is repeated, and a refused write."""

ARRIVED: list[dict[str, str]] = []
"""The headers of the requests at the server."""


class Skipped(Exception):
    """The tool knows nothing of this engine, or fails on its library by itself; the text says which."""


# --- the service -------------------------------------------------------------------------------------------------


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 400 if self.command == "POST" else 200
        if self.path.endswith("/503") and not any(one[":path"] == self.path for one in ARRIVED):
            status = 503
        ARRIVED.append({name.lower(): value for name, value in self.headers.items()} | {":path": self.path})
        body = b'{"id": 5, "message": "no"}'
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_arguments: Any) -> None: ...


@contextlib.contextmanager
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextlib.asynccontextmanager
async def client_of(engine: str, url: str) -> AsyncIterator[Any]:
    from llamadapro import AsyncLlamadaPro

    if not engine.startswith("caller"):
        async with AsyncLlamadaPro(KEY, url, engine=engine) as client:
            yield client
        return
    http = __import__("httpx2" if engine.endswith("httpx2") else "httpx")
    async with http.AsyncClient() as own, AsyncLlamadaPro(KEY, url, http_client=own) as client:
        yield client


async def traffic(client: Any) -> None:
    from llamadapro import BadRequestError

    await client.contacts.get(503)
    with contextlib.suppress(BadRequestError):
        await client.contacts.create(first_name="Jane")


# --- tracers: each returns what it saw of the attempts: (status, whether the caller is the parent) ---------------

Seen = list[tuple[int, bool]]
Tracer = Callable[[str], tuple[Callable[[Callable[[], Any]], Any], Callable[[], Seen]]]


def sentry(engine: str) -> Any:
    import sentry_sdk

    if "httpx2" in engine and not _knows("sentry_sdk.integrations.httpx2"):
        raise Skipped
    sentry_sdk.init(dsn="http://k@127.0.0.1:1/1", traces_sample_rate=1.0, transport=lambda _envelope: None)
    seen: Seen = []

    async def run(work: Callable[[], Any]) -> None:
        with sentry_sdk.start_transaction(name="caller") as transaction:
            await work()
            spans = [span for span in transaction._span_recorder.spans if span.op == "http.client"]
            seen.extend((s._data["http.response.status_code"], s.parent_span_id == transaction.span_id) for s in spans)

    return run, lambda: seen, "sentry-trace"


def ddtrace(engine: str) -> Any:
    if "httpx2" in engine and not _knows("ddtrace.contrib.internal.httpx2"):
        raise Skipped
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    finished: list[Any] = []

    class Collect(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            finished.extend(trace)

    tracer.configure(trace_processors=[Collect()])
    patch(**{"aiohttp" if engine == "aiohttp" else "httpx2" if "httpx2" in engine else "httpx": True})

    async def run(work: Callable[[], Any]) -> None:
        with tracer.trace("caller"):
            await work()

    def seen() -> Seen:
        [caller] = [span for span in finished if span.name == "caller"]
        spans = [span for span in finished if span.get_tag("http.status_code")]
        return [(int(s.get_tag("http.status_code")), s.parent_id == caller.span_id) for s in spans]

    return run, seen, "x-datadog-trace-id"


def newrelic(engine: str) -> Any:
    if "httpx2" in engine and not _knows("newrelic.hooks.external_httpx2"):
        raise Skipped
    os.environ |= {"NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_APP_NAME": "app", "NEW_RELIC_LOG": os.devnull}
    import newrelic.agent
    import newrelic.api.external_trace as module

    newrelic.agent.initialize()
    application = newrelic.agent.register_application(timeout=10)
    traces: list[tuple[Any, bool]] = []
    enter = module.ExternalTrace.__enter__

    def entered(self: Any) -> Any:
        traces.append((self, type(newrelic.agent.current_trace()).__name__ == "FunctionTrace"))
        return enter(self)

    module.ExternalTrace.__enter__ = entered

    async def run(work: Callable[[], Any]) -> None:
        async def caller() -> None:
            with newrelic.agent.FunctionTrace("caller"):
                await work()

        await newrelic.agent.background_task(application, name="task")(caller)()

    def seen() -> Seen:
        # It notes no status of aiohttp's, with plain aiohttp neither.
        expected = STATUSES if engine == "aiohttp" else [None] * len(traces)
        return [
            (trace.agent_attributes.get("http.statusCode") or status, is_child)
            for (trace, is_child), status in zip(traces, expected, strict=False)
        ]

    return run, seen, "traceparent"


def elastic(engine: str) -> Any:
    import elasticapm
    from elasticapm.base import Client

    if "httpx2" in engine and not _knows("elasticapm.instrumentation.packages.httpx2"):
        raise Skipped
    events: list[tuple[str, Any]] = []

    class Collecting(Client):
        def queue(self, event_type: str, data: Any, flush: bool = False) -> None:
            events.append((event_type, data))

    options = {"disable_metrics": "*", "central_config": False, "cloud_provider": "none", "metrics_interval": "0ms"}
    tracer = Collecting(service_name="app", server_url="http://127.0.0.1:1", **options)
    elasticapm.instrument()

    async def run(work: Callable[[], Any]) -> None:
        tracer.begin_transaction("caller")
        await work()
        tracer.end_transaction("caller")

    def seen() -> Seen:
        spans = [data for kind, data in events if kind == "span" and data["type"] == "external"]
        [transaction] = [data for kind, data in events if kind == "transaction"]
        return [(s["context"]["http"].get("status_code"), s["parent_id"] == transaction["id"]) for s in spans]

    return run, seen, "traceparent"


def opentelemetry(engine: str) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if engine == "aiohttp":
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor as Instrumentor
    elif "httpx2" in engine:
        from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor as Instrumentor
    else:
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor as Instrumentor
    Instrumentor().instrument(tracer_provider=provider)
    return _spans(exporter, provider.get_tracer("app").start_as_current_span)


def logfire(engine: str) -> Any:
    import logfire as tool
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tool.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    getattr(tool, "instrument_aiohttp_client" if engine == "aiohttp" else "instrument_httpx")()
    return _spans(exporter, tool.span)


def _spans(exporter: Any, span: Callable[[str], Any]) -> Any:
    async def run(work: Callable[[], Any]) -> None:
        with span("caller"):
            await work()

    def seen() -> Seen:
        finished = {one.context.span_id: one for one in exporter.get_finished_spans()}
        [caller] = [one for one in finished.values() if one.name == "caller"]
        return [
            (
                one.attributes.get("http.response.status_code") or one.attributes.get("http.status_code"),
                one.parent is not None and one.parent.span_id == caller.context.span_id,
            )
            for one in finished.values()
            if one.kind.name == "CLIENT"
        ]

    return run, seen, "traceparent"


async def trace(tracer: Callable[[str], Any], engine: str, order: str) -> list[str]:
    """What is wrong."""
    with service() as url:
        switched_on = tracer(engine) if order == "before" else None
        async with client_of(engine, url) as client:
            if switched_on is None:
                await client.contacts.get(1)  # its connection and session are there already
                switched_on = tracer(engine)
            run, seen, header = switched_on
            ARRIVED.clear()
            await run(lambda: traffic(client))
        wrong = []
        found = seen()
        if [status for status, _ in found] != STATUSES:
            wrong.append(f"statuses {[status for status, _ in found]}")
        if not all(is_child for _, is_child in found):
            wrong.append("the caller is not the parent")
        if len(ARRIVED) != len(STATUSES) or not all(header in request for request in ARRIVED):
            wrong.append(f"{sum(header in request for request in ARRIVED)} of {len(ARRIVED)} with {header}")
        return wrong


# --- mocks -------------------------------------------------------------------------------------------------------


async def _mocked(engine: str, url: str, answers: Any, count: Callable[[], int], no_match: type[BaseException]) -> Any:
    """What is wrong, inside a mock that answers contact 503 as the service would, and knows no contact 404."""
    wrong = []
    async with client_of(engine, url) as client:
        with answers:
            if (await client.contacts.get(503)).id != 5:
                wrong.append("another answer")
            if count() != 2:
                wrong.append(f"{count()} of 2 attempts matched")
            try:
                await client.contacts.get(404)
                wrong.append("a request without a match was answered")
            except no_match:
                pass
            except Exception as error:
                wrong.append(f"no match came out as {type(error).__name__}: {error}"[:200])
    if ARRIVED:
        wrong.append(f"{len(ARRIVED)} requests went to the network")
    return wrong


def _respx(using: str) -> Any:
    async def check(engine: str, order: str) -> list[str]:
        if engine == "aiohttp" or "httpx2" in engine:
            raise Skipped
        import respx
        from httpx import Response
        from respx.models import AllMockedAssertionError

        with service() as url:
            router = respx.mock(using=using, assert_all_called=False)
            answers = [Response(503, headers={"Retry-After": "0"}), Response(200, json={"id": 5})]
            route = router.get(f"{url}{get_contact(503).url_path}").mock(side_effect=answers)
            wrong = await _mocked(engine, url, router, lambda: route.call_count, AllMockedAssertionError)
            passing = respx.mock(using=using)
            passing.route(host="127.0.0.1").pass_through()
            async with client_of(engine, url) as client:
                with passing:
                    await traffic(client)
            if len(ARRIVED) != 3:
                wrong.append(f"passed through: {len(ARRIVED)} of 3 arrived")
            return wrong

    return check


async def pook(engine: str, order: str) -> list[str]:
    if "httpx2" in engine:
        raise Skipped
    import pook as tool

    if engine == "aiohttp":
        await _pook_alone(tool)
    from pook.exceptions import PookNoMatches

    with service() as url:

        @contextlib.contextmanager
        def answers() -> Iterator[None]:
            with tool.use():
                address = f"{url}{get_contact(503).url_path}"
                mocks.append(tool.get(address).times(1).reply(503).header("Retry-After", "0").mock)
                mocks.append(tool.get(address).times(1).reply(200).json({"id": 5}).mock)
                yield

        mocks: list[Any] = []
        return await _mocked(engine, url, answers(), lambda: sum(mock.calls for mock in mocks), PookNoMatches)


async def _pook_alone(tool: Any) -> None:
    import aiohttp

    with tool.use():
        tool.get("http://api.test/").reply(200)
        try:
            async with aiohttp.ClientSession() as session, session.get("http://api.test/"):
                pass
        except TypeError:
            raise Skipped(f"fails by itself with aiohttp {version('aiohttp')}") from None


async def vcrpy(engine: str, order: str) -> list[str]:
    import vcr
    from vcr.errors import CannotOverwriteExistingCassetteException

    from llamadapro_api import document

    with service() as url, tempfile.TemporaryDirectory() as folder:
        cassette = str(Path(folder) / "one.yaml")
        async with client_of(engine, url) as client:
            with vcr.use_cassette(cassette):
                await traffic(client)
        header = document.SCHEMES[document.SCHEME].name.lower()
        recorded = [(one[":path"], one[header]) for one in ARRIVED]
        ARRIVED.clear()
        wrong = [] if len(recorded) == 3 else [f"recorded {recorded}"]
        async with client_of(engine, url) as client:
            with vcr.use_cassette(cassette, record_mode="none") as played:
                await traffic(client)
                try:
                    await client.contacts.get(404)
                    wrong.append("a request without a match was answered")
                except CannotOverwriteExistingCassetteException:
                    pass
                except Exception as error:
                    wrong.append(f"no match came out as {type(error).__name__}: {error}"[:200])
        if played.play_count != 3 or ARRIVED:
            wrong.append(f"{played.play_count} of 3 played, {len(ARRIVED)} went to the network")
        return wrong


async def mocket(engine: str, order: str) -> list[str]:
    from mocket import Mocketizer
    from mocket.exceptions import StrictMocketException
    from mocket.mocks.mockhttp import Entry, Response

    url = "http://api.test"
    with Mocketizer(strict_mode=True):
        answers = [Response(body=b"{}", status=503, headers={"Retry-After": "0"}), Response(body=b'{"id": 5}')]
        Entry.register(Entry.GET, f"{url}{get_contact(503).url_path}", *answers)
        from mocket import Mocket

        from llamadapro import APIConnectionError

        # Of a caller's client it is httpx that takes it for a failure of the network.
        no_match = APIConnectionError if engine.startswith("caller") else StrictMocketException
        return await _mocked(engine, url, contextlib.nullcontext(), lambda: len(Mocket.request_list()), no_match)


PYTEST_HTTPX = """
import httpx, pytest
from llamadapro import AsyncLlamadaPro
from one_tool import KEY, client_of

async def test_answers(httpx_mock):
    httpx_mock.add_response(status_code=503, headers={"Retry-After": "0"})
    httpx_mock.add_response(json={"id": 5})
    async with client_of("ENGINE", "http://api.test") as client:
        assert (await client.contacts.get(5)).id == 5
    assert len(httpx_mock.get_requests()) == 2

@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
async def test_no_match(httpx_mock):
    async with client_of("ENGINE", "http://api.test") as client:
        with pytest.raises(httpx.TimeoutException, match="No response can be found"):
            await client.contacts.get(5)
    assert len(httpx_mock.get_requests()) == 1
"""


async def pytest_httpx(engine: str, order: str) -> list[str]:
    if engine == "aiohttp" or "httpx2" in engine:
        raise Skipped
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_it.py").write_text(PYTEST_HTTPX.replace("ENGINE", engine))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "asyncio_mode=auto",
            "--rootdir",
            folder,
            folder,
        ]
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}
        )
        printed, _ = await process.communicate()
        lines = printed.decode().splitlines()
        return [line for line in lines if line.startswith(("E  ", "FAILED"))] if process.returncode else []


def _knows(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


TRACERS = {
    "sentry": ("sentry-sdk", sentry),
    "ddtrace": ("ddtrace", ddtrace),
    "newrelic": ("newrelic", newrelic),
    "elastic": ("elastic-apm", elastic),
    "opentelemetry": ("opentelemetry-instrumentation-httpx", opentelemetry),
    "logfire": ("logfire", logfire),
}
MOCKS = {
    "respx": ("respx", _respx("httpcore")),
    "respx-httpx": ("respx", _respx("httpx")),
    "pytest-httpx": ("pytest-httpx", pytest_httpx),
    "pook": ("pook", pook),
    "vcrpy": ("vcrpy", vcrpy),
    "mocket": ("mocket", mocket),
}


def main(tool: str, engine: str, order: str) -> dict[str, Any]:
    package, check = (TRACERS | MOCKS)[tool]
    result: dict[str, Any] = {"version": version(package)}
    try:
        run = trace(check, engine, order) if tool in TRACERS else check(engine, order)
        return result | {"wrong": asyncio.run(run)}
    except Skipped as reason:
        return result | {"wrong": None, "reason": str(reason)}
    except Exception as error:
        return result | {"wrong": [f"{type(error).__name__}: {error}"[:300]]}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    outcome = main(*sys.argv[1:])
    print(json.dumps(outcome))
    sys.stdout.flush()
    os._exit(0)  # agents' threads would try to reach their collectors
