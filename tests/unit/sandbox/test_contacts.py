"""Contacts: what is stored comes back, lists page and filter, the search finds."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import path_of

URL = path_of("GetContacts")
SEARCH = path_of("SearchContacts")


async def create(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(URL, json=fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def names(api: httpx.AsyncClient, query: str) -> list[str]:
    answer = await api.get(f"{URL}?{query}")
    assert answer.status_code == 200, answer.text
    return [item["firstName"] for item in answer.json()["items"]]


async def found(api: httpx.AsyncClient, **body: Any) -> list[str]:
    answer = await api.post(SEARCH, json=body)
    assert answer.status_code == 200, answer.text
    return [item["firstName"] for item in answer.json()["items"]]


async def test_created_read_updated_deleted(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    address = {"channelType": "PHONE", "address": "+56912345678"}
    made = await create(api, firstName="Jane", customFields={"a": 1, "b": 2}, addresses=[address], metadata=[1])
    assert made["addresses"][0] | address == made["addresses"][0]
    assert (await api.get(path_of("GetContact", made["id"]))).json() == made

    sandbox.clock.advance(60)
    mail = {"channelType": "EMAIL", "address": "j@example.org"}
    changes = {"lastName": "Doe", "customFields": {"b": 3}, "addresses": [address, mail], "id": 99, "tenantId": "x"}
    changed = (await api.put(path_of("GetContact", made["id"]), json=changes)).json()
    assert changed["firstName"] == "Jane"
    assert changed["lastName"] == "Doe"
    assert changed["customFields"] == {"a": 1, "b": 3}
    assert (changed["id"], changed["tenantId"], changed["createdAt"]) == (made["id"], "sandbox", made["createdAt"])
    assert changed["updatedAt"] > made["updatedAt"]
    assert changed["addresses"][0] == made["addresses"][0]
    assert changed["addresses"][1]["id"] != made["addresses"][0]["id"]

    assert (await api.delete(path_of("GetContact", made["id"]))).json() == changed
    for method in ("GET", "DELETE"):
        assert (await api.request(method, path_of("GetContact", made["id"]))).status_code == 404
    assert (await api.put(path_of("GetContact", made["id"]), json={})).status_code == 404
    assert (await create(api))["id"] != made["id"]


async def test_pages_are_stable_while_contacts_come_and_go(api: httpx.AsyncClient) -> None:
    for number in range(7):
        await create(api, firstName=f"c{number}")
    for sort in ("", "&sortBy=firstName=desc"):
        page = (await api.get(f"{URL}?pageSize=3{sort}")).json()
        seen = [item["firstName"] for item in page["items"]]
        await api.delete(path_of("DeleteContact", page["items"][-1]["id"]))  # the place of the token goes
        await create(api, firstName="z" if sort else "c7")  # before the place, or at the end
        while "nextPageToken" in page:
            page = (await api.get(f"{URL}?pageSize=3&pageToken={page['nextPageToken']}{sort}")).json()
            seen += [item["firstName"] for item in page["items"]]
        assert len(seen) == len(set(seen))
        assert set(seen) >= {"c1", "c3", "c4", "c5", "c6"}


async def test_pages_by_number(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await create(api, firstName=f"c{number}")
    assert await names(api, "pageSize=2&page=2") == ["c2", "c3"]
    assert await names(api, "pageSize=2&page=3&searchBy=c") == ["c4"]
    assert await names(api, "pageSize=2&page=9000000000000000000000") == []
    assert await names(api, "pageSize=-1") == ["c0"]
    assert (await api.get(f"{URL}?pageSize=2&page=2")).json()["totalCount"] == 5


@pytest.mark.parametrize("token", ["x", "e30.000000000000", "é", "W10.", "a.b.c"])
async def test_a_made_up_token_is_refused(api: httpx.AsyncClient, token: str) -> None:
    assert (await api.get(URL, params={"pageToken": token})).status_code == 400
    assert (await api.post(SEARCH, json={"pageToken": token})).status_code == 400


async def test_a_token_of_another_list_is_refused(api: httpx.AsyncClient) -> None:
    await create(api)
    await create(api)
    token = (await api.get(f"{URL}?pageSize=1")).json()["nextPageToken"]
    for other in ("GetTasks", "GetCustomFieldDefinitions"):
        answer = await api.get(f"{path_of(other)}?pageToken={token}")
        assert (answer.status_code, "belongs to another list" in answer.text) == (400, True)


async def test_a_token_of_another_order_is_refused(api: httpx.AsyncClient) -> None:
    await create(api)
    await create(api)
    token = (await api.get(f"{URL}?pageSize=1")).json()["nextPageToken"]
    assert (await api.get(f"{URL}?pageToken={token}&sortBy=createdAt")).status_code == 400


async def test_the_grammars_of_the_list(api: httpx.AsyncClient) -> None:
    phone = {"channelType": "PHONE", "address": "+56912345678"}
    await create(api, firstName="John", email="john@example.com", addresses=[phone])
    await create(
        api, firstName="Jane", email="jane@example.com", customFields={"level": 3}, createdAt="2020-01-01T00:00:00Z"
    )
    await create(api, firstName="John", email="other@example.com")
    assert await names(api, "filterBy=firstName:John;email:john@example.com&sortBy=createdAt=desc") == ["John"]
    assert await names(api, "filterBy=customFields.level:3") == ["Jane"]
    assert await names(api, "filterBy=addresses.address:%2B56912345678") == ["John"]
    assert await names(api, "filterBy=createdAt:2020-01-01T00:00:00.000Z") == ["Jane"]
    assert await names(api, "searchBy=JANE%20example") == ["Jane"]
    assert await names(api, "sortBy=createdAt") == ["Jane", "John", "John"]
    assert await names(api, "sortBy=firstName:asc;email=desc") == ["Jane", "John", "John"]
    for bad in ("filterBy=firstName", "filterBy=fistName:John", "sortBy=createdAt=up", "sortBy=x"):
        assert (await api.get(f"{URL}?{bad}")).status_code == 400, bad


async def test_search_filters(api: httpx.AsyncClient) -> None:
    await create(api, firstName="Ana", userId=7, addresses=[{"channelType": "EMAIL", "address": "Ana@Example.com"}])
    await create(api, firstName="Bea", userId=12, customFields={"city": "Lima"})
    await create(api, firstName="Eva", createdAt="2020-01-01T00:00:00Z")

    async def by(field: str, operator: str, value: str | None = None, **more: Any) -> list[str]:
        one = {"field": field, "operator": operator, **({} if value is None else {"value": value}), **more}
        return await found(api, filters=[one])

    assert await by("firstName", "eq", "Ana") == ["Ana"]
    assert await by("addresses.address", "contains", "example.com") == ["Ana"]
    assert await by("firstName", "ne", "Ana") == ["Bea", "Eva"]
    assert await by("userId", "gt", "7") == ["Bea"]
    assert await by("userId", "lte", "7.0") == ["Ana"]
    assert await by("createdAt", "lt", "2021-01-01T00:00:00+01:00") == ["Eva"]
    assert await by("firstName", "in", "Ana, Eva") == ["Ana", "Eva"]
    assert await by("firstName", "notIn", "Ana,Eva") == ["Bea"]
    assert await by("customFields.city", "exists") == ["Bea"]
    assert await by("customFields.city", "exists", "false") == ["Ana", "Eva"]
    assert await by("firstName", "startsWith", "b") == ["Bea"]
    assert await by("firstName", "endsWith", "A") == ["Ana", "Bea", "Eva"]
    assert await by("firstName", "notContains", "a") == []
    assert await by("modelType", "contains", "Contact") == ["Ana", "Bea", "Eva"]
    assert await by("email", "contains", "null") == []

    ana, bea = ({"field": "firstName", "operator": "eq", "value": name} for name in ("Ana", "Bea"))
    assert await found(api, filters=[ana, bea]) == []
    assert await found(api, filters=[ana, {**bea, "or": True}]) == ["Ana", "Bea"]
    assert await found(api, filters=[{**ana, "or": True}]) == ["Ana"]
    assert await found(api, search="lima") == ["Bea"]
    for bad in ({"field": "firstName", "operator": "like"}, {"field": "name", "operator": "eq"}):
        assert (await api.post(SEARCH, json={"filters": [bad]})).status_code == 400


async def test_values_of_different_kinds_are_never_greater_or_less(api: httpx.AsyncClient) -> None:
    for name, value in (("Ana", True), ("Bea", 5), ("Eva", "text"), ("Ida", {"a": 1}), ("Uma", None)):
        await create(api, firstName=name, customFields={"odd": value})
    for wanted, larger in (("text", []), ("4", ["Bea"]), ("sometimes", ["Eva"])):
        assert await found(api, filters=[{"field": "customFields.odd", "operator": "gt", "value": wanted}]) == larger
    sort = [{"field": "customFields.odd", "direction": "asc"}]
    assert await found(api, sort=sort) == ["Uma", "Ana", "Bea", "Eva", "Ida"]


async def test_search_pages_sorts_and_counts(api: httpx.AsyncClient) -> None:
    for name in ("Bea", "Ana", "Eva"):
        await create(api, firstName=name, userId=1)
    body: dict[str, Any] = {"size": 2, "sort": [{"field": "firstName", "direction": "desc"}]}
    page = (await api.post(SEARCH, json={**body, "includeTotalCount": True})).json()
    assert page["totalCount"] == 3
    assert [hit["firstName"] for hit in page["items"]] == ["Eva", "Bea"]
    assert page["items"][0]["id"] == "3"
    assert page["items"][0]["userId"] == "1"
    rest = (await api.post(SEARCH, json={**body, "pageToken": page["nextPageToken"]})).json()
    assert [hit["firstName"] for hit in rest["items"]] == ["Ana"]
    assert "totalCount" not in rest
    assert "nextPageToken" not in rest
    body["sort"][0]["direction"] = "downwards"
    assert (await api.post(SEARCH, json=body)).status_code == 400


async def test_archived_contacts_are_found_only_on_request(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.seed({"contacts": [{"firstName": "Old", "archivedAt": "2024-01-01T00:00:00Z"}, {"firstName": "New"}]})
    assert await found(api) == ["New"]
    assert await found(api, includeArchived=True) == ["Old", "New"]


async def test_searches_may_be_limited(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.settings.search_per_second = 2
    statuses = [(await api.post(SEARCH, json={})).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await api.post(SEARCH, json={})).headers["Retry-After"] == "1"
    sandbox.clock.advance(1)
    assert (await api.post(SEARCH, json={})).status_code == 200
