"""What a program pays before its first call, each time in a new interpreter, whose own start is not counted."""

from __future__ import annotations

from benchmarks.measure import Measure, Row

_OURS = "from llamadapro import AsyncLlamadaPro; client = AsyncLlamadaPro('key'"
RESOURCES = ("contacts", "tasks", "conversations", "messages", "calls", "recordings", "custom_fields")

START = Measure(
    "start",
    programs={
        "bare httpx": "\nimport httpx; client = httpx.AsyncClient(); client.get",
        "bare aiohttp": "\nimport aiohttp; aiohttp.ClientSession.get",
        "llamadapro": f"\n{_OURS}); client.contacts",
        "llamadapro, certificates loaded": f"\n{_OURS}); client.contacts\nimport httpx; httpx.create_ssl_context()",
        "llamadapro, aiohttp": f"\n{_OURS}, engine='aiohttp'); client.contacts",
        "stock generator": "\nfrom stock_api import AuthenticatedClient\n"
        "from stock_api.api.v1contacts import get_contact\n"
        "AuthenticatedClient('https://api.example.org', token='key').get_async_httpx_client(); get_contact.asyncio",
        "openai": "\nfrom openai import AsyncOpenAI; client = AsyncOpenAI(api_key='key'); client.files.list",
        "githubkit": "\nfrom githubkit import GitHub; client = GitHub('key')\n"
        "client.rest.issues.async_list_labels_for_repo",
        "stripe": "\nimport stripe; client = stripe.StripeClient('sk_test_key', http_client=stripe.HTTPXClient())\n"
        "client.v1.customers.list_async",
    },
    rounds=5,
    quick_rounds=1,
)
FIRST = Measure(
    "first",
    programs={name: f"{_OURS})\nclient.{name}" for name in RESOURCES},
    rounds=5,
    quick_rounds=1,
)
_MESSAGE = "content='Hi', type_='text', from_phone_number='+56912345678', to_phone_number='+14155552671'"
PREPARED = Measure(
    "prepared",
    programs={
        "contacts.list": f"{_OURS})\nclient.contacts.list()",
        "tasks.list": f"{_OURS})\nclient.tasks.list()",
        "messages.send": f"{_OURS})\nclient.messages\nfrom llamadapro_api import api; api.create_message({_MESSAGE})",
    },
    rounds=5,
    quick_rounds=1,
)
SECOND = Measure(
    "second",
    programs={
        "llamadapro": f"{_OURS})\nAsyncLlamadaPro('key')",
        "llamadapro, aiohttp": f"{_OURS}, engine='aiohttp')\nAsyncLlamadaPro('key', engine='aiohttp')",
        "bare httpx": "import httpx; httpx.AsyncClient()\nhttpx.AsyncClient()",
    },
    rounds=7,
    quick_rounds=2,
)
_READ = "PAGE = orjson.dumps(data.contact_page(100)); client = AsyncLlamadaPro('key')"
FIRST_PAGE = Measure(
    "first_page",
    programs={
        "llamadapro": f"import orjson; from benchmarks import data; from llamadapro import AsyncLlamadaPro; {_READ}\n"
        "from llamadapro.models import ContactPage; ContactPage.from_dict(orjson.loads(PAGE))",
    },
    rounds=5,
    quick_rounds=2,
)
MEASURES = [START, FIRST, PREPARED, FIRST_PAGE, SECOND]

_START = "import + construct + first resource, vs bare httpx"
_SECOND = "second client built, milliseconds"
ROWS = [
    Row(_START, "start", "llamadapro", "bare httpx", 1.3),
    *[
        Row(_START, "start", name, "bare httpx", comparison=True)
        for name in START.programs
        if name not in ("llamadapro", "bare httpx")
    ],
    *[
        Row("first touch of a resource, milliseconds", "first", name, bar=30, scale=1000, unit="ms")
        for name in RESOURCES
    ],
    *[
        Row(
            "first touch and first call prepared, milliseconds",
            "prepared",
            name,
            scale=1000,
            unit="ms",
            comparison=True,
        )
        for name in PREPARED.programs
    ],
    Row(
        "first page of 100 read by a fresh process, milliseconds",
        "first_page",
        "llamadapro",
        bar=30,
        scale=1000,
        unit="ms",
    ),
    Row(_SECOND, "second", "llamadapro", bar=1, scale=1000, unit="ms"),
    Row(_SECOND, "second", "llamadapro, aiohttp", bar=1, scale=1000, unit="ms"),
    Row(_SECOND, "second", "bare httpx", scale=1000, unit="ms", comparison=True),
]
