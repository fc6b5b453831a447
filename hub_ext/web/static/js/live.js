// Lists that change by themselves: one event stream for all tabs of a browser, and only while one of them is seen.

import { follow } from "./stream.js";

const url = `${document.querySelector("meta[name=hx-base]").content}api/v1/events?topics=runs`;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("hub-ext-events") : null;
const state = { cursor: "", over: false };
let waiting = null;

function refresh() {
  waiting = null;
  for (const element of document.querySelectorAll("[data-live]")) {
    if (element.querySelector("details[open]")) continue; // somebody reads there
    htmx.ajax("GET", location.href, { target: `#${element.id}`, select: `#${element.id}`, swap: "outerHTML" });
  }
}

function heard() {
  waiting ??= setTimeout(refresh, 250);
}

function tell() {
  heard();
  channel?.postMessage("changed");
}

channel?.addEventListener("message", heard);

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

document.addEventListener("visibilitychange", () => { attend(); if (document.visibilityState === "visible") heard(); });
attend();
