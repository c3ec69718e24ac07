"""The page at `/`, in a real browser, with real clicks and keys: both widths, both color schemes.

Without chromium the tests are skipped; where `CI` is set they fail, because there the browser is installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import KEY_HEADER, path_of

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium") if not os.environ.get("CI") else None

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PHONE, DESK = 390, 1280
CONTACTS, MESSAGES = path_of("GetContacts"), path_of("CreateMessage")
TEXT = {"fromPhoneNumber": "+56221234567", "toPhoneNumber": "+14155552671", "type": "text"}

pytestmark = pytest.mark.skipif(
    (CHROMIUM is None or DRIVER is None) and not os.environ.get("CI"),
    reason="needs a browser: apt-get install chromium chromium-driver",
)


class Page:
    """A browser on the sandbox's page."""

    def __init__(self, driver: Any, url: str):
        self.driver, self.url = driver, url

    def open(self, width: int = DESK, scheme: str = "light", query: str = "", key: str = "") -> Page:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{query}{f'#{key}' if key else ''}")
        return self

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        found = self.all(selector)
        return str(found[0].text) if found else ""

    def click(self, selector: str, index: int = 0) -> None:
        self.until(lambda: len(self.all(selector)) > index, selector)
        self.all(selector)[index].click()

    def script(self, code: str) -> Any:
        return self.driver.execute_script(f"return {code}")

    def keys(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def until(self, holds: Callable[[], Any], what: str = "the page to show it") -> Any:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.wait import WebDriverWait

        waiting = WebDriverWait(
            self.driver, 15, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return waiting.until(lambda _: holds(), what)

    def rows(self, count: int) -> list[Any]:
        self.until(lambda: len(self.all("#list .row")) == count, f"{count} rows")
        return self.all("#list .row")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    assert CHROMIUM is not None, "CI has no chromium: apt-get install chromium chromium-driver"
    assert DRIVER is not None, "CI has no chromedriver: apt-get install chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Page]:
    yield Page(browser, url)
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.get("about:blank")  # its open request must not hold up the server's end
    assert [one for one in errors if "401" not in one] == []


async def test_a_request_opens_with_its_answer(page: Page, api: httpx.AsyncClient) -> None:
    await api.post(f"{CONTACTS}?a=b", json={"firstName": "<b>Jane</b>"})
    page.open().rows(1)[0].click()
    page.until(lambda: "CreateContact" in page.text("#detail"))
    shown = page.text("#detail")
    for text in ("POST", CONTACTS, '"firstName": "<b>Jane</b>"', '"tenantId": "sandbox"', " ms", "query.a is unknown"):
        assert text in shown
    assert "user-agent" in shown
    assert KEY_HEADER.lower() not in shown.lower()
    assert page.all("#detail b") == []


async def test_it_is_live_and_leaves_a_selection_alone(page: Page, api: httpx.AsyncClient) -> None:
    for name in ("Jane", "Pedro"):
        await api.post(CONTACTS, json={"firstName": name})
    page.open().rows(2)[1].click()
    page.until(lambda: page.all("#detail pre"))
    page.script("getSelection().selectAllChildren(document.querySelector('#detail pre'))")
    page.script("window.kept = document.querySelector('#list .row:last-child')")
    before = page.script("getSelection().toString()")
    for _ in range(3):
        await api.get(CONTACTS)
    page.rows(5)
    assert "Jane" in before
    assert page.script("getSelection().toString()") == before
    assert page.script("window.kept.isConnected && window.kept.getAttribute('aria-selected')") == "true"


async def test_filters_by_operation_status_and_text(page: Page, sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post(CONTACTS, json={"firstName": "Jane"})
    await api.get(path_of("GetContact", 99))
    sandbox.faults.add("status", status=503, times=1)
    await api.get(CONTACTS)
    page.open().rows(3)
    page.all("#operation option[value=CreateContact]")[0].click()
    page.rows(1)
    page.all("#operation option")[0].click()
    page.all("#status option[value='5']")[0].click()
    page.until(lambda: "503" in page.rows(1)[0].text)
    page.all("#status option")[0].click()
    page.click("#text")
    page.keys("no contact 99")
    page.until(lambda: "404" in page.rows(1)[0].text)


async def test_keys_open_move_and_close(page: Page, api: httpx.AsyncClient) -> None:
    from selenium.webdriver.common.keys import Keys

    for _ in range(3):
        await api.get(CONTACTS)
    page.open().rows(3)
    page.driver.find_element("css selector", "body").send_keys("/")
    assert page.script("document.activeElement.id") == "text"
    page.script("document.querySelector('#list .row').focus()")
    page.keys(Keys.ARROW_DOWN)
    page.keys(Keys.ARROW_DOWN)
    page.keys(Keys.ARROW_UP)
    page.keys(Keys.ENTER)
    page.until(lambda: "GetContacts" in page.text("#detail"))
    assert page.all("#list .row")[1].get_attribute("aria-selected") == "true"
    assert page.script("document.activeElement.matches(':focus-visible')")
    assert page.script("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keys(Keys.ESCAPE)
    page.until(lambda: "GetContacts" not in page.text("#detail"))
    assert page.script("document.activeElement.classList.contains('row')")
    page.script("document.querySelector('#tab-requests').focus()")
    page.keys(Keys.ARROW_RIGHT)
    assert page.script("document.activeElement.id") == "tab-messages"


async def test_a_tab_chosen_before_the_page_has_started_is_the_one_shown(page: Page, api: httpx.AsyncClient) -> None:
    await api.post(MESSAGES, json={**TEXT, "content": "Hello"})
    hold = """const fetched = window.fetch, held = [];
    window.fetch = (...all) => new Promise(done => held.push(() => done(fetched(...all))));
    window.go = () => { window.fetch = fetched; held.forEach(one => one()); };"""
    held = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": hold})
    page.open().click("#tab-messages")
    page.script("window.go()")
    page.until(lambda: page.text("#live") == "live")
    page.until(lambda: "Hello" in page.text("#list"))
    assert page.text("[aria-selected=true]").startswith("Messages")
    page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", held)


async def test_messages_are_conversations_per_contact(page: Page, sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    reach = [{"channelType": "WHATSAPP", "address": "+14155552671"}]
    await api.post(CONTACTS, json={"firstName": "Jane", "addresses": reach})
    for content in ("Hello", "<i>again</i>"):
        await api.post(MESSAGES, json={**TEXT, "content": content})
    await api.post(MESSAGES, json={**TEXT, "toPhoneNumber": "+15005550001", "content": "lost"})
    page.open()
    page.click("#tab-messages")
    rows = page.rows(2)
    assert "Jane" in rows[1].text
    rows[1].click()
    page.until(lambda: len(page.all(".bubble")) == 2)
    assert [one.text.splitlines()[0] for one in page.all(".bubble")] == ["Hello", "<i>again</i>"]
    page.script("window.kept = document.querySelector('.bubble')")
    sandbox.clock.advance(60)
    await api.post(MESSAGES, json={**TEXT, "content": "third"})
    page.until(lambda: len(page.all(".bubble")) == 3)
    page.until(lambda: "read" in page.text(".bubble"))
    assert page.script("window.kept.isConnected")


async def test_a_call_has_a_time_line_a_text_and_a_recording(
    page: Page, sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    agent = {"voiceAgentId": 1, "to": "+14155552671", "contextVariables": {"firstName": "Jane"}}
    await api.post(path_of("StartAgentCall"), json=agent)
    page.open(query="?view=calls").rows(1)[0].click()
    page.until(lambda: len(page.all(".steps li.reached")) == 1)
    assert page.all("audio") == []
    sandbox.clock.advance(60)
    page.until(lambda: page.all("audio"))
    assert len(page.all(".steps li.reached")) == 4
    assert "Hello Jane" in page.text("#detail")
    page.until(lambda: page.script("document.querySelector('audio').duration > 11"), "the recording to load")
    page.script("document.querySelector('audio').play()")
    page.until(lambda: page.script("document.querySelector('audio').currentTime > 0"), "the recording to play")
    assert [one.operation for one in sandbox.requests] == ["StartAgentCall"]


@pytest.mark.parametrize("given", ["not an address", "", "javascript:alert(1)"])
async def test_a_recording_without_a_usable_address_is_shown_as_text(
    page: Page, api: httpx.AsyncClient, given: str
) -> None:
    await api.post(path_of("LoadRecording"), json={"userId": 1, "url": given})
    page.open(query="?view=calls").rows(1)[0].click()
    page.until(lambda: "RECORDING" in page.text("#detail").upper())
    assert given in page.text("#detail")
    assert page.all("#detail a, #detail audio") == []


async def test_contacts_show_their_custom_fields(page: Page, sandbox: Sandbox) -> None:
    sandbox.seed({"contacts": [{"firstName": f"N{n}", "customFields": {"level": f"gold {n}"}} for n in range(120)]})
    page.open()
    page.click("#tab-contacts")
    page.rows(50)[0].click()
    page.until(lambda: "gold 119" in page.text("#detail"))
    page.click("#older")
    page.rows(120)


async def test_the_controls_steer_the_sandbox(page: Page, sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    page.open()
    page.click("#tab-controls")
    before = sandbox.clock.time()
    next(one for one in page.all("#controls button") if one.text == "+1 hour").click()
    page.until(lambda: sandbox.clock.time() == before + 3600)
    page.all("#controls [name=operation] option[value=GetContacts]")[0].click()
    next(one for one in page.all("#controls button") if one.text == "Inject").click()
    page.until(lambda: len(sandbox.faults) == 1)
    page.until(lambda: "GetContacts" in page.text("#faults"))
    assert (await api.get(CONTACTS)).status_code == 503
    page.until(lambda: "No fault" in page.text("#faults"))
    page.click("#controls textarea")
    page.keys('{"contacts": [{"first_name": "Jane"}]}')
    next(one for one in page.all("#controls button") if one.text == "Create").click()
    page.until(lambda: sandbox.store.count("contacts") == 1)
    page.until(lambda: "Created 1 contacts" in page.text("#toast"))
    assert "did you mean firstName" in page.text("#toast")
    next(one for one in page.all("#controls button") if one.text == "Reset").click()
    page.driver.switch_to.alert.accept()
    page.until(lambda: sandbox.store.count("contacts") == 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_every_view_fits(page: Page, api: httpx.AsyncClient, width: int, scheme: str) -> None:
    await api.post(CONTACTS, json={"firstName": "J" * 300, "customFields": {"k" * 200: "v" * 2000}})
    await api.post(MESSAGES, json={**TEXT, "content": "w" * 3000})
    await api.post(path_of("StartBridgeCall"), json={"to": "+14155552671"})
    await api.get(f"/{'x' * 500}")
    for view in ("requests", "messages", "calls", "contacts", "controls"):
        page.open(width, scheme, f"?view={view}")
        if view != "controls":
            page.click("#list .row")
            page.until(lambda: page.all("#detail .head"))
        assert page.script("document.documentElement.scrollWidth") <= width, view
        assert (
            page.script(
                "Math.max(...[...document.querySelectorAll('#detail, #side, #controls')]"
                ".map(one => one.scrollWidth - one.clientWidth))"
            )
            <= 0
        ), view
    light = page.script("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
    assert light == (scheme == "light")


async def test_the_number_of_rows_is_bounded(page: Page, sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.get(CONTACTS)
    for _ in range(320):
        await api.get(path_of("GetContact", 1))
    page.open().rows(300)
    assert page.script("document.querySelectorAll('*').length") < 4000
    page.click("#status option[value='2']")  # older than those that are shown, and found all the same
    assert CONTACTS in page.rows(1)[0].text


async def test_another_key_is_asked_for(page: Page, sandbox: Sandbox) -> None:
    sandbox.api_key = "of my own"
    page.open()
    page.until(lambda: page.all("dialog[open]"))
    page.all("#key")[0].clear()
    page.all("#key")[0].send_keys("of my own")
    page.click("dialog button")
    page.until(lambda: page.text("#live") == "live")
    assert page.all("dialog[open]") == []


def test_it_is_no_part_of_the_log_and_takes_nothing_from_elsewhere(sandbox: Sandbox, url: str) -> None:
    sandbox.faults.add("status", times=1)
    with httpx.Client(base_url=url, trust_env=False) as client:
        for path in ("/", "/_sandbox/page.js", "/_sandbox/page.css", "/favicon.ico"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "https://" not in answer.text
            assert "innerHTML" not in answer.text
    assert len(sandbox.requests) == 0
    assert [fault.times for fault in sandbox.faults.unused] == [1]
