// The page of the sandbox. All texts are set as text, never as HTML: records hold whatever was sent.
"use strict";

const MAX_ROWS = 300;
const VIEWS = ["requests", "messages", "calls", "contacts", "controls"];
const GOOD = ["completed", "delivered", "read", "sent"];
const BAD = ["failed", "busy", "no-answer", "canceled", "cancelled", "overdue"];
const $ = id => document.getElementById(id);
const key = () => decodeURIComponent(location.hash.slice(1)) || "sandbox";

const asked = new URLSearchParams(location.search).get("view");
let view = VIEWS.includes(asked) ? asked : "requests", opened = null, version = "", overview = null, latest = null, found = null, oldest = null;
const requests = new Map();   // number -> summary
const rows = new Map();       // id -> row of the list that is shown
const records = {};           // kind -> records, newest first

// ---------------------------------------------------------------------------------------------------- small things

function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined).map(child => child instanceof Node ? child : String(child)));
  return made;
}
const badge = (text, kind = "") => el("span", { class: `badge ${kind}` }, text);
const time = text => text ? String(text).slice(11, 19) : "";
const day = text => text ? String(text).replace("T", " ").replace(/(\.\d+)?Z$/, "") : "";
const mood = status => GOOD.includes(status) ? "good" : BAD.includes(status) ? "bad" : "busy";
const answer = entry => entry.status === null ? badge("no answer", "bad") : badge(entry.status, entry.status < 400 ? "good" : "bad");
const pretty = value => typeof value === "string" ? value : JSON.stringify(value, null, 2);
const nameOf = contact => [contact.firstName, contact.lastName].filter(Boolean).join(" ") || contact.email || contact.phone || `Contact ${contact.id}`;

function set(node, text) {  // leaves a node alone that shows the text already: a selection in it stays
  if (node.textContent !== String(text)) node.textContent = text;
}
function toast(text) {  // what is said at once stands together: a warning, and what was done nevertheless
  const before = performance.now() - toast.at < 500 ? [$("toast").textContent] : [];
  $("toast").textContent = [...before, text].join(" · ");
  $("toast").hidden = false;
  toast.at = performance.now();
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 5000);
}
async function api(path, options = {}) {
  const headers = { "X-Sandbox-Key": key(), ...(options.body ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(`/_sandbox${path}`, { ...options, headers });
  const body = response.status === 204 ? null : await response.json();
  if (response.status === 401) askForKey();
  if (response.ok && response.headers.get("X-Sandbox-Warning")) toast(response.headers.get("X-Sandbox-Warning"));
  if (response.ok) return body;
  const issues = (body.details?.issues || []).map(one => `${one.in}.${one.field} ${one.message}`).join("; ");
  throw new Error(issues || body.message);
}
const send = (method, path, body) => api(path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
function askForKey() {
  if ($("ask").open) return;
  $("key").value = key();
  $("ask").showModal();
  $("ask").onclose = () => { location.hash = encodeURIComponent($("key").value); location.reload(); };
}
function facts(pairs) {
  const shown = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...shown.flatMap(([name, value]) => [
    el("dt", {}, name), el("dd", {}, value instanceof Node ? value : typeof value === "object" ? JSON.stringify(value) : String(value))]));
}
function part(title, ...children) {
  return el("section", { class: "part" }, el("div", { class: "bar" }, el("h3", {}, title)), ...children);
}
function block(title, value) {
  if (value === null || value === undefined || value === "") return part(title, el("p", {}, "empty"));
  const made = part(title, el("pre", { tabindex: "0" }, pretty(value)));
  made.firstChild.append(el("button", { onclick: () => copy(pretty(value)) }, "Copy"));
  return made;
}
async function copy(text) {
  try { await navigator.clipboard.writeText(text); toast("Copied"); } catch { toast("The browser does not allow copying here"); }
}

// -------------------------------------------------------------------------------------------------------- the list

function show(items) {
  // items: [{id, make, update}] in order. Rows that are there stay as they are; only what changed is touched.
  const list = $("list"), wanted = new Set(items.map(item => item.id));
  for (const [id, row] of rows) if (!wanted.has(id)) { row.remove(); rows.delete(id); }
  let next = list.firstChild;
  for (const item of items) {
    let row = rows.get(item.id);
    if (!row) {
      row = item.make();
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", "false");
      row.dataset.id = item.id;
      row.tabIndex = -1;
      rows.set(item.id, row);
    }
    if (row === next) next = next.nextSibling;
    else list.insertBefore(row, next);
    item.update(row);
  }
  mark();
}
function mark() {
  let roving = null;
  for (const row of $("list").children) {
    const chosen = opened !== null && row.dataset.id === String(opened);
    row.setAttribute("aria-selected", String(chosen));
    row.tabIndex = -1;
    if (chosen || row === document.activeElement) roving = row;
  }
  (roving || $("list").firstChild || {}).tabIndex = 0;
}
function empty(text) {
  $("empty").textContent = text;
  $("empty").hidden = rows.size > 0;
}
function refresh() {
  ({ requests: listRequests, messages: listMessages, calls: listCalls, contacts: listContacts, controls: () => {} })[view]();
}

function matches(entry) {
  const status = $("status").value, operation = $("operation").value;
  if (operation && (entry.operation || "-") !== operation) return false;
  if (found && !found.has(entry.number)) return false;
  if (status === "none") return entry.status === null;
  if (status === "fault" || status === "warning") return Boolean(entry[status]);
  return !status || String(entry.status)[0] === status;
}
function listRequests() {
  const shown = [...requests.values()].filter(matches).reverse().slice(0, MAX_ROWS);
  show(shown.map(entry => ({
    id: entry.number,
    make: () => el("div", { class: "row request new" },
      el("span", { class: `method ${entry.method}` }, entry.method), el("span", { class: "path" }, entry.path), el("span"), el("small")),
    update: row => {
      const [, , status, small] = row.children, stamp = `${entry.status}|${entry.ms}`;
      if (row.dataset.stamp === stamp) return;
      row.dataset.stamp = stamp;
      status.replaceChildren(answer(entry));
      const extra = [entry.fault && badge(`fault: ${entry.fault}`, "busy"), entry.warning && badge("warning", "busy")];
      small.replaceChildren(...[time(entry.at), entry.operation || "no operation", entry.ms === null ? null : `${entry.ms} ms`]
        .filter(Boolean).map(text => el("span", {}, text)), ...extra.filter(Boolean));
    },
  })));
  empty(requests.size ? "No request matches the filters." : "No request yet. Point a client at this address.");
}
function thing(id, title, status, small) {
  const kind = status ? mood(status) : "";
  return {
    id,
    make: () => el("div", { class: "row thing" }, el("span", { class: "title" }), el("span", { class: "badge" }), el("small")),
    update: row => {
      const [first, second, third] = row.children;
      set(first, title);
      set(second, status || "");
      second.className = status ? `badge ${kind}` : "";
      set(third, small);
    },
  };
}
function conversations() {
  const people = new Map((records.recipients || []).map(contact => [contact.id, contact])), found = new Map();
  for (const message of records.messages || []) {
    const other = message.direction === "inbound" ? message.sender : message.recipient;
    const contact = people.get(message.contactId), id = contact ? `c${contact.id}` : `n${other.address}`;
    if (!found.has(id)) found.set(id, { id, name: contact ? nameOf(contact) : other.address, address: other.address, messages: [] });
    found.get(id).messages.unshift(message);
  }
  return [...found.values()];
}
function listMessages() {
  const all = conversations();
  show(all.map(one => {
    const last = one.messages.at(-1);
    return thing(one.id, one.name, last.status, `${one.messages.length} · ${last.content.slice(0, 90)}`);
  }));
  empty("No message yet.");
  const one = all.find(each => each.id === opened);
  if (one) drawConversation(one);
}
function listCalls() {
  const all = records.calls || [];
  show(all.map(call => thing(call.id, `${call.from || "?"} → ${call.to || "?"}`, call.status, `${day(call.startTime || call.createdAt)} · call ${call.id}`)));
  empty("No call yet.");
  const one = all.find(each => String(each.id) === String(opened));
  if (one) drawCall(one);
}
function listContacts() {
  const text = $("text").value.toLowerCase(), all = records.contacts || [];
  const shown = text ? all.filter(contact => JSON.stringify(contact).toLowerCase().includes(text)) : all;
  show(shown.slice(0, 1000).map(contact => {
    const reach = (contact.addresses || []).map(one => one.address);
    return thing(contact.id, nameOf(contact), "", [...reach, contact.email, contact.phone].filter(Boolean).join(" · ") || `contact ${contact.id}`);
  }));
  const total = latest?.counts.contacts || 0;
  $("older").hidden = all.length >= total;
  set($("older"), `Show older (${all.length} of ${total})`);
  empty(all.length ? "No contact matches." : "No contact yet.");
}

// ------------------------------------------------------------------------------------------------------ the detail

async function open(id, focus = true) {
  opened = id;
  document.body.classList.toggle("open", id !== null);
  $("detail").replaceChildren();
  $("detail").dataset.drawn = "";
  mark();
  if (id === null) {
    $("detail").append(el("p", { class: "none" }, `Choose one of the ${view === "messages" ? "conversations" : view} to see all of it.`));
    return;
  }
  try {
    if (view === "requests") drawRequest(await api(`/requests/${id}`));
    if (view === "contacts") drawContact((records.contacts || []).find(each => String(each.id) === String(id)));
    if (view === "messages" || view === "calls") refresh();
  } catch (problem) { toast(problem.message); }
  if (focus && matchMedia("(max-width: 820px)").matches) $("detail").querySelector(".close")?.focus();
}
function close() {
  const row = rows.get(opened) || rows.get(Number(opened));
  open(null);
  (row || $("list").querySelector("[tabindex='0']"))?.focus();
}
function head(...children) {
  return el("div", { class: "head" }, ...children, el("button", { class: "close", onclick: close, title: "Close (Esc)" }, "Close"));
}
function drawRequest(entry) {
  if (view !== "requests" || String(entry.number) !== String(opened)) return;
  const { answer: sent } = entry;
  $("detail").dataset.pending = entry.answer ? "" : "yes";
  $("detail").replaceChildren(
    head(el("span", { class: `method ${entry.method}` }, entry.method), el("span", { class: "path" }, entry.path), answer(entry)),
    ...(entry.warning ? [el("p", { class: "warning" }, entry.warning)] : []),
    part("Request", facts({ Operation: entry.operation || "none of the document", Received: day(entry.at), Took: sent ? `${sent.ms} ms` : null, Fault: entry.fault, Number: entry.number })),
    ...(Object.keys(entry.query).length ? [part("Query", facts(entry.query))] : []),
    block("Body as sent", entry.body === null ? entry.text : entry.body),
    ...(sent ? [block(`Answer ${sent.status}`, sent.body), part("Answer headers", facts(sent.headers))] : [part("Answer", el("p", {}, "Nothing was answered."))]),
    part("Request headers", facts(entry.headers)));
}
function drawContact(contact) {
  if (!contact) return;
  const { addresses, customFields, metadata, ...rest } = contact;
  $("detail").replaceChildren(
    head(el("h2", {}, nameOf(contact)), badge(`contact ${contact.id}`)),
    part("Addresses", (addresses || []).length ? facts(Object.fromEntries(addresses.map((one, index) => [`${one.channelType}${index ? " " + (index + 1) : ""}`, one.address]))) : el("p", {}, "none")),
    part("Custom fields", Object.keys(customFields || {}).length ? facts(customFields) : el("p", {}, "none")),
    part("Fields", facts(rest)), ...(metadata ? [block("Metadata", metadata)] : []));
}
function drawConversation(one) {
  const detail = $("detail");
  if (detail.dataset.drawn !== one.id) {
    detail.dataset.drawn = one.id;
    detail.replaceChildren(head(el("h2", {}, one.name), badge(one.address)), el("div", { class: "chat" }));
  }
  const chat = detail.lastChild;
  for (const message of one.messages) {
    let bubble = [...chat.children].find(each => each.dataset.id === message.id);
    if (!bubble) {
      bubble = el("div", { class: `bubble ${message.direction}`, "data-id": message.id }, el("p", {}, message.content),
        ...message.attachments.map(file => el("a", { href: file.url, rel: "noreferrer" }, `${file.type}: ${file.metadata.fileName || file.id}`)),
        el("small", {}, el("span", {}, day(message.createdAt)), el("span")));
      chat.append(bubble);
    }
    const status = bubble.lastChild.lastChild;
    set(status, [message.status, ...message.errors.map(error => error.title || error.message)].join(": "));
    status.className = message.status === "failed" ? "failed" : "";
  }
}
function drawCall(call) {
  const detail = $("detail"), id = `call${call.id}`;
  if (detail.dataset.drawn !== id) {
    detail.dataset.drawn = id;
    detail.replaceChildren(
      head(el("h2", {}, `${call.from || "?"} → ${call.to || "?"}`), el("span", { class: "badge" })),
      part("Time line", el("ol", { class: "steps" }, ...call.timeline.map(step => el("li", {}, el("span", {}, step.status), el("span", { class: "mono" }, day(step.at)))))),
      el("div"), el("div"),
      part("Call", facts({ Id: call.id, Direction: call.direction, Provider: call.providerName, User: call.userId, Contact: call.contactId, Started: day(call.startTime), Duration: call.duration === null ? null : `${call.duration} s` })),
      ...(call.metadata ? [block("Metadata", call.metadata)] : []), ...(call.customData ? [block("Custom data", call.customData)] : []));
  }
  const [top, steps, recording, words] = detail.children, shown = top.querySelector(".badge");
  set(shown, call.status);
  shown.className = `badge ${mood(call.status)}`;
  call.timeline.forEach((step, index) => {
    const item = steps.querySelectorAll("li")[index];
    item.className = `${step.reached ? "reached" : ""} ${step.reached && step.status === "failed" ? "failed" : ""}`;
  });
  if (!call.timeline.length && !steps.dataset.said) { steps.dataset.said = "yes"; steps.append(el("p", {}, "This call was recorded after it took place.")); }
  if (call.recording && !recording.firstChild) {
    const given = call.recording.url, url = URL.canParse(given) ? new URL(given) : null;
    recording.append(part("Recording", url?.pathname.startsWith("/_sandbox/")
      ? el("audio", { controls: true, preload: "metadata", src: `${url.pathname}${url.search}&page=1` })
      : el("p", {}, /^https?:$/.test(url?.protocol) ? el("a", { href: url.href, rel: "noreferrer" }, url.href) : given)));
  }
  if (call.transcription && !words.firstChild) {
    const lines = call.transcription.split("\n").map(line => {
      const [who, ...said] = line.split(": ");
      return el("div", { class: `line ${who}` }, el("b", {}, who), el("span", {}, said.join(": ")));
    });
    words.append(part("Transcription", ...lines));
  }
}

// ---------------------------------------------------------------------------------------------------- the controls

const number = value => value === "" ? undefined : Number(value);
function form(action, ...children) {
  return el("form", { onsubmit: async event => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    try { await action(values, event.target); } catch (problem) { toast(problem.message); }
  } }, ...children);
}
const label = (text, input) => el("label", {}, text, input);
const input = (name, options = {}) => el("input", { name, autocomplete: "off", ...options });
const select = (name, values) => el("select", { name }, ...values.map(([value, text]) => el("option", { value }, text)));
const act = (text, action, kind = "") => el("button", { type: "button", class: kind, onclick: async () => {
  try { await action(); } catch (problem) { toast(problem.message); }
} }, text);

function drawControls() {
  const ids = overview.operations.map(one => one.id), advance = seconds => send("POST", "/clock", { advance: seconds });
  const seedText = el("textarea", { name: "seed", spellcheck: "false", "aria-label": "Seed", placeholder: '{"contacts": [{"firstName": "Jane", "addresses": [{"channelType": "WHATSAPP", "address": "+14155552671"}]}]}' });
  const file = el("input", { type: "file", accept: "application/json", "aria-label": "Snapshot file" });
  const settings = Object.entries(overview.settings).map(([name, value]) => label(name.replaceAll("_", " "), input(name, { type: "number", step: "any", min: "0", value: value ?? "" })));
  $("controls").replaceChildren(el("div", { class: "cards" },
    part("Clock", el("div", { class: "big", id: "clock" }), el("p", { id: "ahead" }),
      el("form", {}, act("+1 min", () => advance(60)), act("+1 hour", () => advance(3600)), act("+1 day", () => advance(86400))),
      form(values => send("POST", "/clock", { advance: Number(values.advance) || 0, speed: number(values.speed) }),
        label("Advance by seconds", input("advance", { type: "number", min: "0", step: "any", value: "10" })),
        label("Speed (1 is real time)", input("speed", { type: "number", min: "0", step: "any", value: overview.clock.speed })), el("button", {}, "Apply"))),
    part("Faults", el("div", { id: "faults" }),
      form(async values => {
        const given = { kind: values.kind, operation: values.operation || undefined, when: values.when, times: number(values.times) };
        if (values.kind === "status") Object.assign(given, { status: number(values.status), retry_after: number(values.retry_after) });
        else if (values.kind !== "reset") given.seconds = number(values.seconds);
        await send("POST", "/faults", given);
        toast("The next request that matches is hit.");
      },
      label("Kind", select("kind", overview.kinds.map(kind => [kind, kind.replace("_", " ")]))),
      label("Status", input("status", { type: "number", value: "503", min: "200", max: "599" })),
      label("Operation", el("select", { name: "operation" }, el("option", { value: "" }, "any"), ...["file", ...ids].map(id => el("option", { value: id }, id)))),
      label("When", select("when", [["before", "before the effect"], ["after", "after the effect"], ["within", "within the answer"]])),
      label("Times", input("times", { type: "number", min: "1", value: "1", placeholder: "always" })),
      label("Seconds", input("seconds", { type: "number", min: "0", step: "any", value: "1" })),
      label("Retry-After", input("retry_after", { type: "number", min: "0", step: "any" })),
      el("button", { class: "main" }, "Inject"), act("Clear all", () => send("DELETE", "/faults")))),
    part("Settings", form(values => send("POST", "/settings", Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === "" ? null : Number(value)]))), ...settings, el("button", {}, "Apply"))),
    part("State", el("p", {}, "A snapshot holds all records and the clock. A reset goes back to the first seed."),
      el("form", {}, act("Download snapshot", async () => {
        const url = URL.createObjectURL(new Blob([JSON.stringify(await api("/snapshot"))], { type: "application/json" }));
        el("a", { href: url, download: "sandbox.json" }).click();
        URL.revokeObjectURL(url);
      }), label("Restore from a file", file), act("Restore", async () => {
        if (!file.files.length) throw new Error("Choose the file of a snapshot first.");
        await send("PUT", "/snapshot", JSON.parse(await file.files[0].text()));
        toast("Restored");
      })),
      el("form", {}, act("Forget requests", () => send("DELETE", "/requests")), act("Reset", async () => {
        if (confirm("Delete all records, faults and requests?")) { await send("POST", "/reset"); toast("Reset"); }
      }, "danger"))),
    part("Seed", form(async values => {
      const created = await send("POST", "/seed", JSON.parse(values.seed));
      toast(`Created ${Object.entries(created).map(([kind, list]) => `${list.length} ${kind}`).join(", ") || "nothing"}`);
    }, seedText, el("button", { class: "main" }, "Create")))));
  drawState();
}
function drawState() {
  const { clock, faults, counts } = latest, ahead = Math.round(clock.ahead);
  const speed = clock.speed === 1 ? "" : clock.speed === 0 ? ", standing still" : `, ${clock.speed} × as fast`;
  $("now").title = `The sandbox's clock: ${day(clock.now)} UTC`;
  set($("now"), `${matchMedia("(max-width: 820px)").matches ? time(clock.now) : day(clock.now)} UTC${speed}`);
  const numbers = { requests: requests.size, messages: counts.messages, calls: counts.calls, contacts: counts.contacts, controls: faults.length ? `${faults.length} fault${faults.length > 1 ? "s" : ""}` : "" };
  for (const [name, count] of Object.entries(numbers)) set($(`tab-${name}`).querySelector("b"), count || "");
  if (!$("clock")) return;
  set($("clock"), `${day(clock.now)} UTC`);
  set($("ahead"), `${ahead ? `${ahead} s ahead of the real time` : "real time"}${speed}`);
  const shown = JSON.stringify(faults);
  if ($("faults").dataset.shown === shown) return;
  $("faults").dataset.shown = shown;
  $("faults").replaceChildren(...(faults.length ? faults.map(one => el("div", { class: "fault" }, badge(one.kind.replace("_", " "), "busy"),
    [one.kind === "status" ? one.status : "", one.operation || one.path || "any request", one.when, one.times === null ? "always" : `${one.times} left`, `hit ${one.hits}`].filter(Boolean).join(" · ")))
    : [el("p", {}, "No fault is waiting.")]));
}

// --------------------------------------------------------------------------------------------------------- the view

async function load(kind, more = false) {
  const have = records[kind] || [], before = more && have.length ? `&before=${have.at(-1).id}` : "";
  const limit = kind === "contacts" && !more ? Math.min(Math.max(have.length, 50), 100) : 100;
  const answer = await api(`/records?kind=${kind}&limit=${limit}${before}`);
  if (kind === "messages") records.recipients = answer.recipients;
  const fresh = answer[kind], last = fresh.length ? fresh.at(-1).id : 0;
  records[kind] = more ? [...have, ...fresh] : [...fresh, ...(kind === "contacts" ? have.filter(one => one.id < last) : [])];
  if (view === kind) refresh();
}
function choose(name, focus = false) {
  view = name;
  if (latest === null) return;  // not started yet: the start shows it
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.dataset.view === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
  }
  $("browser").hidden = name === "controls";
  $("controls").hidden = name !== "controls";
  $("filters").hidden = !["requests", "contacts"].includes(name);
  $("operation").hidden = $("status").hidden = name !== "requests";
  $("text").placeholder = name === "requests" ? "Search paths, bodies, answers" : "Search these contacts";
  $("text").value = "";
  found = null;
  $("older").hidden = true;
  rows.clear();
  $("list").replaceChildren();
  $("list").setAttribute("aria-label", name);
  open(null);
  if (name === "controls") drawControls();
  else if (name === "requests") refresh();
  else load(name).catch(problem => toast(problem.message));
}
async function search() {
  const text = $("text").value;
  if (view === "requests") {
    const numbers = text ? new Set((await api(`/matches?text=${encodeURIComponent(text)}`)).numbers) : null;
    if (text !== $("text").value) return;
    found = numbers;
  }
  refresh();
}
function take(changes) {
  const before = latest?.versions || {};
  latest = changes;
  if (changes.oldest === null) requests.clear();
  for (const entry of changes.requests) requests.set(entry.number, entry);
  for (const number of requests.keys()) if (number < changes.oldest) requests.delete(number);
  drawState();
  if (view === "requests") {
    if ($("text").value && changes.requests.length) search();
    else refresh();
    const now = changes.requests.find(entry => String(entry.number) === String(opened));
    if (now && now.status !== null && $("detail").dataset.pending) api(`/requests/${opened}`).then(drawRequest, () => {});
  } else if (view !== "controls" && (before[view] !== changes.versions[view] || moving())) load(view).catch(() => {});
}
const moving = () => (records[view] || []).some(one => ["queued", "ringing", "in-progress", "pending", "sent", "delivered"].includes(one.status));
function online(reachable) {
  $("live").className = reachable ? "on" : "off";
  set($("live"), reachable ? "live" : "not reachable");
}
async function live() {
  for (;;) {
    try {
      const wait = latest === null ? 0 : view === "messages" || view === "calls" ? 2 : 20;
      const changes = await api(`/changes?after=${version}&wait=${wait}`);
      version = changes.version;
      online(true);
      take(changes);
      if (document.hidden) await new Promise(done => document.addEventListener("visibilitychange", done, { once: true }));
    } catch (problem) {
      online(false);
      await new Promise(done => setTimeout(done, 1500));
    }
  }
}

// ------------------------------------------------------------------------------------------------------ keys, clicks

$("list").addEventListener("click", event => {
  const row = event.target.closest(".row");
  if (row && !String(getSelection())) { row.focus(); open(row.dataset.id); }
});
$("list").addEventListener("keydown", event => {
  const all = [...$("list").children], at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); if (at >= 0) open(all[at].dataset.id); }
  if (to === undefined || !all.length) return;
  event.preventDefault();
  all.forEach(row => { row.tabIndex = -1; });
  const row = all[Math.max(0, Math.min(all.length - 1, to))];
  row.tabIndex = 0;
  row.focus();
});
document.querySelector("nav").addEventListener("click", event => { const tab = event.target.closest("[role=tab]"); if (tab) choose(tab.dataset.view); });
document.querySelector("nav").addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) choose(VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length], true);
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && opened !== null && !$("ask").open) { event.preventDefault(); close(); }
  if (event.key === "/" && !["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName) && !$("filters").hidden) { event.preventDefault(); $("text").focus(); }
});
$("filters").addEventListener("submit", event => event.preventDefault());
for (const change of ["input", "change"]) $("filters").addEventListener(change, () => {
  clearTimeout(search.timer);
  search.timer = setTimeout(() => search().catch(problem => toast(problem.message)), 120);
});
$("older").addEventListener("click", () => load("contacts", true).catch(problem => toast(problem.message)));
setInterval(() => {  // between two answers the clock runs on by itself
  if (!latest || document.hidden) return;
  const clock = latest.clock, passed = (performance.now() - (clock.seen ??= performance.now())) * clock.speed;
  const now = new Date((clock.start ??= Date.parse(clock.now)) + passed);
  if (!Number.isNaN(now.getTime())) { clock.now = now.toISOString(); drawState(); }
}, 1000);

(async () => {
  try {
    overview = await api("");
    $("operation").append(...overview.operations.map(one => el("option", { value: one.id }, one.id)));
    if (overview.strict) document.querySelector("h1 span").textContent = "sandbox, strict";
    latest = await api("/changes");
    version = latest.version;
    online(true);
    take(latest);
    choose(view);
  } catch (problem) {
    if (!$("ask").open) toast(problem.message);
  }
  live();
})();
