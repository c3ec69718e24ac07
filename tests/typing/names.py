"""What a type checker must say of misspelt names: no module of any package lets one pass.

Checked by `make types`, never run; see `calls.py` for what `type: ignore` proves.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnusedImport=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# ruff: noqa: F401

from __future__ import annotations

import llamadapro
import llamadapro_api
import llamadapro_contract
import llamadapro_jobs
import llamadapro_sandbox
from llamadapro import AsyncLamadaPro as _1  # type: ignore[attr-defined]
from llamadapro import AsyncLlamadaPro
from llamadapro.addresses import emial as _2  # type: ignore[attr-defined]
from llamadapro.errors import APIErorr as _3  # type: ignore[attr-defined]
from llamadapro.models import Contct as _4  # type: ignore[attr-defined]
from llamadapro.phone import to_e614 as _5  # type: ignore[attr-defined]
from llamadapro.resources import Contcts as _6  # type: ignore[attr-defined]
from llamadapro.search import filter_bye as _7  # type: ignore[attr-defined]
from llamadapro.testing import llamadapro_sandbx as _8  # type: ignore[attr-defined]
from llamadapro.whatsapp import haeder as _9  # type: ignore[attr-defined]
from llamadapro_api.api import get_contract as _10  # type: ignore[attr-defined]
from llamadapro_api.document import SEVRER as _11  # type: ignore[attr-defined]
from llamadapro_api.errors import ValidationErorr as _12  # type: ignore[attr-defined]
from llamadapro_api.models import Contct as _13  # type: ignore[attr-defined]
from llamadapro_api.types import PreparedRequst as _14  # type: ignore[attr-defined]
from llamadapro_contract.findings import Findng as _15  # type: ignore[attr-defined]
from llamadapro_jobs.ledger import Legder as _16  # type: ignore[attr-defined]
from llamadapro_sandbox import Sandbx as _17  # type: ignore[attr-defined]


def attributes(client: AsyncLlamadaPro) -> None:
    print(llamadapro.APIErorr)  # type: ignore[attr-defined]
    print(llamadapro.models.Contct)  # type: ignore[attr-defined]
    print(llamadapro_api.apii)  # type: ignore[attr-defined]
    print(llamadapro_contract.cil)  # type: ignore[attr-defined]
    print(llamadapro_jobs.legder)  # type: ignore[attr-defined]
    print(llamadapro_sandbox.Sandbx)  # type: ignore[attr-defined]
    print(client.contcts)  # type: ignore[attr-defined]
    print(client.contacts.craete)  # type: ignore[attr-defined]
