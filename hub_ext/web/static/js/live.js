// Lists that change by themselves: one event stream for all tabs of a browser, and only while one of them is seen.

import { follow } from "./stream.js";

const told = (name) => document.querySelector(`meta[name=hx-${name}]`).content;
const url = `${told("base")}api/v1/events?topics=${told("topics")}`;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("hub-ext-events") : null;
const state = { cursor: "", over: false };
const changed = new Set();
let waiting = null;

// What an element shows: `data-live` names the topics, `runs` if it names none.
const shows = (element) => (element.dataset.live || "runs").split(" ").some((topic) => changed.has(topic));

function refresh() {
  waiting = null;
  for (const element of document.querySelectorAll("[data-live]")) {
    if (!shows(element)) continue;
    if (element.querySelector("details[open]") || element.contains(document.activeElement)) continue; // somebody reads there
    htmx.ajax("GET", location.href, { target: `#${element.id}`, select: `#${element.id}`, swap: "outerHTML" });
  }
  changed.clear();
}

function heard(topic) {
  changed.add(topic);
  waiting ??= setTimeout(refresh, 250);
}

function tell(topic) {
  heard(topic);
  channel?.postMessage(topic);
}

channel?.addEventListener("message", (event) => heard(event.data));

let stop = null;
function attend() {
  if (document.visibilityState === "hidden") { stop?.abort(); stop = null; return; }
  if (stop) return;
  stop = new AbortController();
  const { signal } = stop;
  const run = () => follow(url, state, tell, { signal });
  // The tab that holds the lock listens for all; where there are no locks, each listens for itself.
  if (navigator.locks) navigator.locks.request("hub-ext-events", { signal }, run).catch(() => {});
  else run();
}

document.addEventListener("visibilitychange", () => { attend(); if (document.visibilityState === "visible") told("topics").split(",").forEach(heard); });
attend();
