"""The page of contacts as somebody would write it by hand for pydantic v2 and for msgspec.

Both are strict where ours is tolerant (an odd date or a missing field raises), and both drop unknown fields.
"""

# ruff: noqa: UP045  (pydantic evaluates the annotations)
from __future__ import annotations

from datetime import datetime
from typing import Any, Optional

import msgspec
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Pydantic(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class PydanticAddress(_Pydantic):
    id: Optional[int] = None
    tenant_id: Optional[str] = None
    contact_id: Optional[int] = None
    channel_type: Optional[str] = None
    address: Optional[str] = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None


class PydanticContact(_Pydantic):
    id: int
    tenant_id: Optional[str] = None
    provider_id: Optional[str] = None
    provider_name: Optional[str] = None
    national_id: Optional[str] = None
    first_name: Optional[str] = None
    last_name: Optional[str] = None
    email: Optional[str] = None
    phone: Optional[str] = None
    user_id: Optional[int] = None
    contact_company_id: Optional[int] = None
    company_position: Optional[str] = None
    metadata: Any = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    custom_fields: Optional[dict[str, Any]] = None
    addresses: Optional[list[PydanticAddress]] = None


class PydanticPage(_Pydantic):
    items: list[PydanticContact]
    next_page_token: Optional[str] = None
    total_count: Optional[int] = None


class MsgspecAddress(msgspec.Struct, rename="camel"):
    id: Optional[int] = None
    tenant_id: Optional[str] = None
    contact_id: Optional[int] = None
    channel_type: Optional[str] = None
    address: Optional[str] = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None


class MsgspecContact(msgspec.Struct, rename="camel"):
    id: int
    tenant_id: Optional[str] = None
    provider_id: Optional[str] = None
    provider_name: Optional[str] = None
    national_id: Optional[str] = None
    first_name: Optional[str] = None
    last_name: Optional[str] = None
    email: Optional[str] = None
    phone: Optional[str] = None
    user_id: Optional[int] = None
    contact_company_id: Optional[int] = None
    company_position: Optional[str] = None
    metadata: Any = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    custom_fields: Optional[dict[str, Any]] = None
    addresses: Optional[list[MsgspecAddress]] = None


class MsgspecPage(msgspec.Struct, rename="camel"):
    items: list[MsgspecContact]
    next_page_token: Optional[str] = None
    total_count: Optional[int] = None
