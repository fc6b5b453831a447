// The page of a run: state, progress and output as they come.

import { follow, token } from "./stream.js";

const page = document.getElementById("run");
const output = document.getElementById("output");
const bar = document.getElementById("bar");
const doing = document.getElementById("doing");
const elapsed = document.getElementById("elapsed");
const leave = document.getElementById("leave");
const estimate = document.getElementById("estimate");
const logState = document.getElementById("log-state");
const wasOver = page.dataset.over === "1";
const MOST = 400000; // characters that are shown; the report has all of it
const stream = { cursor: "", over: false };
let began = page.dataset.started ? Date.parse(page.dataset.started) : null;
let last = null;
let shown = 0;

const words = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

// Text that was overwritten by a carriage return keeps its last state; control sequences are taken out.
const ansi = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;
const plain = (text) => text.replace(ansi, "").replace(/\r\n/g, "\n");

function atEnd() {
  return output.scrollHeight - output.scrollTop - output.clientHeight < 40;
}

function put(node) {
  const follow = atEnd();
  output.append(node);
  while (shown > MOST && output.firstChild) {
    shown -= output.firstChild.textContent.length;
    output.firstChild.remove();
    if (logState) logState.textContent = "The beginning is left out here; the report has it.";
  }
  if (follow) output.scrollTop = output.scrollHeight;
}

// What Python calls an object says nothing to a person: the report shows the object itself.
const anonymous = /^<(?:IPython\.core\.display\.\w+|Figure|Axes|[\w.]+) (?:object|size)[^>\n]*>\n?$/;

function putText(text, style) {
  text = plain(text);
  if (!text || (style === "hx-result" && anonymous.test(text))) return;
  shown += text.length;
  if (last?.nodeType === 1 && last.dataset.style === style && last.parentNode === output) {
    const follow = atEnd();
    const joined = last.textContent + text;
    last.textContent = joined.includes("\r")
      ? joined.split("\n").map((line) => line.replace(/\r+$/, "").split("\r").pop()).join("\n") : joined;
    if (text.endsWith("\r")) last.textContent += "\r";
    if (follow) output.scrollTop = output.scrollHeight;
    return;
  }
  last = document.createElement("span");
  last.dataset.style = style;
  last.className = style;
  last.textContent = text;
  put(last);
}

const outputs = {
  stream: (event) => putText(event.text ?? "", event.name === "stderr" ? "hx-stderr" : "hx-stdout"),
  text: (event) => putText(`${event.text ?? ""}\n`, "hx-result"),
  html_omitted: (event) => putText(`${event.text ?? ""}\n`, "hx-result"),
  error: (event) => putText(`${event.text ?? event.name ?? ""}\n`, "hx-stderr"),
  cleared: () => { last = null; },
  png: (event) => {
    const image = document.createElement("img");
    image.alt = event.text || "A picture from the notebook";
    image.src = `data:image/png;base64,${event.data}`;
    const follow = atEnd();
    image.addEventListener("load", () => { if (follow) output.scrollTop = output.scrollHeight; });
    last = null;
    put(image);
  },
};

function progress(done, total) {
  if (!bar || !total) return;
  bar.max = total;
  bar.value = done;
}

const events = {
  run_started: (event) => progress(0, event.cells),
  cell_started: (event) => {
    began ??= Date.now();
    if (doing) doing.textContent = `Cell ${event.n} of ${event.total}`;
    progress(event.n - 1, event.total);
  },
  cell_finished: () => { if (bar && bar.hasAttribute("value")) bar.value += 1; },
  output: (event) => outputs[event.kind]?.(event),
  repeated: () => putText("\n(It was interrupted, and is run again from the beginning.)\n", "hx-stderr"),
  truncated: () => putText("\n(There was more output than a run may keep. What came after is left out.)\n", "hx-stderr"),
  finished: () => { if (doing) doing.textContent = "Making the report"; },
  state: (event) => {
    if (event.started_at) began = Date.parse(event.started_at);
    if (event.state === "running" && page.dataset.state === "starting" && doing) doing.textContent = "Running";
    if (event.state === "starting" && doing) {
      doing.textContent = event.reason ? event.reason[0].toUpperCase() + event.reason.slice(1) : "Starting its kernel";
    }
    const ended = ["succeeded", "failed", "cancelled", "lost"].includes(event.state);
    if (!ended && event.state !== page.dataset.state) refreshPill(event.state);
    page.dataset.state = event.state;
    if (ended) { stream.over = true; if (!wasOver) finish(); }
  },
};

async function fetchPage() {
  const response = await fetch(location.pathname, { headers: { "X-XSRFToken": token() } });
  if (!response.ok) throw new Error(String(response.status));
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function refreshPill(state) {
  const pill = document.querySelector("#state .hx-pill");
  const names = { queued: ["Queued", "fa-clock"], starting: ["Starting", "fa-circle-notch"], running: ["Running", "fa-play"] };
  if (!pill || !names[state]) return;
  const [word, icon] = names[state];
  pill.lastChild.textContent = word;
  pill.firstElementChild.className = `fa ${icon}`;
  pill.classList.toggle("hx-pill-busy", state !== "queued");
}

// At the end the page is drawn anew around the output, which stays as it is; whoever types or reads is not disturbed.
async function finish() {
  let fresh;
  try { fresh = await fetchPage(); } catch { location.reload(); return; }
  const next = fresh.getElementById("run");
  if (!next) { location.reload(); return; }
  const card = document.getElementById("log-card");
  next.querySelector("#log-card")?.replaceWith(card);
  card.hidden = true;
  document.title = fresh.title;
  const imported = document.adoptNode(next);
  page.replaceChildren(...imported.childNodes);
  page.dataset.over = "1";
  document.getElementById("log-show")?.addEventListener("click", showLog);
  const live = document.getElementById("hx-live");
  if (live) live.textContent = `${page.dataset.title}: ${document.querySelector("#state")?.textContent.trim() ?? "ended"}`;
  document.dispatchEvent(new CustomEvent("htmx:afterSettle"));
}

function listen() {
  const lost = (yes) => { if (logState) logState.textContent = yes ? "No connection; trying again…" : ""; };
  return follow(page.dataset.events, stream, (name, event) => events[name]?.(event), { lost });
}

function showLog() {
  const card = document.getElementById("log-card");
  card.hidden = false;
  document.getElementById("log-offer")?.remove();
  if (!output.childNodes.length) {
    Object.assign(stream, { over: false, cursor: "" });
    listen();
  }
  output.focus();
}

function tick() {
  if (stream.over || wasOver) return;
  const seconds = (Date.now() - (began ?? Date.parse(page.dataset.created))) / 1000;
  if (elapsed) elapsed.textContent = words(seconds);
  const usual = Number(page.dataset.usual ?? 0);
  if (estimate && seconds > 5 && usual) {
    const remains = usual - seconds;
    estimate.textContent = remains > 1 ? `About ${words(remains)} to go; it usually takes ${words(usual)}.`
      : `It takes longer than usual (${words(usual)}).`;
  } else if (estimate && seconds > 5) {
    estimate.textContent = "Nobody knows yet how long it takes.";
  }
  if (leave && seconds > 30) leave.hidden = false;
}

document.getElementById("log-show")?.addEventListener("click", showLog);
if (!wasOver) {
  listen();
  tick();
  setInterval(tick, 1000);
}
