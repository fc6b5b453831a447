// What every page does: times in the person's zone, copying, stars, toasts for what failed, drag and drop.

// Made when they are needed first: the browser reads its tables for them, which takes longer than all the rest of this.
let exact = null;
let plural = null;
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

function words(moment) {
  plural ??= new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const seconds = (moment - Date.now()) / 1000;
  if (Math.abs(seconds) < 45) return "just now";
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size * 0.95) return plural.format(Math.round(seconds / size), unit);
  }
  return seconds < 0 ? "a minute ago" : "in a minute";
}

function tellTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-exact])")) {
    const moment = Date.parse(element.dateTime);
    if (!Number.isNaN(moment)) element.textContent = words(moment);
  }
}

// The server has written the exact time in UTC; once there is nothing else to do it stands there in the person's zone.
function tellExactly(root = document) {
  (window.requestIdleCallback ?? setTimeout)(() => {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      exact ??= new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
      element.title = exact.format(moment);
    }
  });
}

export function say(text) {
  const live = document.getElementById("hx-live");
  if (live) live.textContent = text;
}

export function toast(title, detail, hint, id) {
  document.querySelector(".hx-toast")?.remove();
  const box = document.createElement("div");
  box.className = "hx-toast hx-note hx-note-bad";
  box.setAttribute("role", "alert");
  const strong = document.createElement("strong");
  strong.textContent = title;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close float-end";
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => box.remove());
  box.append(close, strong);
  for (const [text, style] of [[detail, "mb-1"], [hint, "mb-1"], [id && `Id: ${id}`, "hx-mono text-secondary"]]) {
    if (!text) continue;
    const line = document.createElement("p");
    line.className = style;
    line.textContent = text;
    box.append(line);
  }
  document.body.append(box);
}

async function copy(button) {
  const text = button.dataset.copy ?? document.querySelector(button.dataset.copyFrom)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
  const icon = button.querySelector(".fa");
  icon?.classList.replace("fa-copy", "fa-check");
  setTimeout(() => icon?.classList.replace("fa-check", "fa-copy"), 1200);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (button) copy(button);
});

// Bootstrap's script is for the two menus of the bar alone: it comes when somebody reaches for one of them, and a press
// that was quicker counts then.
let menus = null;
function bringMenus() {
  menus ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=hx-menus]").content;
    script.addEventListener("load", done);
    script.addEventListener("error", () => { script.remove(); menus = null; failed(); });
    document.head.append(script);
  });
  return menus;
}
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.closest("[data-bs-toggle]")) bringMenus().catch(() => {});
  });
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-bs-toggle]");
  if (!button || window.bootstrap) return;
  event.preventDefault();
  bringMenus().then(() => button.click()).catch(() => toast("No connection", "The menu could not be loaded.", "Try again."));
});

// A form that takes a while says so, and is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  document.body.classList.add("hx-busy");
  setTimeout(() => {
    for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
  });
});
window.addEventListener("pageshow", () => {
  document.body.classList.remove("hx-busy");
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Fields that belong to a choice are shown with it.
function showChosen() {
  for (const element of document.querySelectorAll("[data-shown-for]")) {
    const [name, ...values] = element.dataset.shownFor.split("=");
    const wanted = values.join("=").split("|");
    const chosen = document.querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
    const on = Boolean(chosen && wanted.includes(chosen.value));
    element.hidden = !on;
    for (const field of element.querySelectorAll("input, select, textarea")) field.disabled = !on;
  }
}
document.addEventListener("change", showChosen);

for (const drop of document.querySelectorAll("[data-drop]")) {
  const input = drop.querySelector("input[type=file]");
  const name = drop.querySelector("[data-drop-name]");
  const tell = () => { if (input.files.length && name) name.textContent = input.files[0].name; };
  input.addEventListener("change", tell);
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("hx-over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("hx-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("hx-over");
    if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; tell(); }
  });
}

document.addEventListener("htmx:afterSettle", (event) => {
  tellTimes(event.target);
  tellExactly(event.target);
  showChosen();
});
document.addEventListener("htmx:sendError", () => {
  toast("No connection", "The service did not answer.", "Check the network and try again.");
});
document.addEventListener("htmx:responseError", (event) => {
  const answer = event.detail.xhr;
  if (answer.status === 401) { location.reload(); return; }
  let problem = {};
  try { problem = JSON.parse(answer.responseText); } catch { /* a page */ }
  toast(problem.title ?? "That did not work", problem.detail ?? `The service answered ${answer.status}.`,
    problem.hint ?? "Reload the page and try again.", answer.getResponseHeader("X-Request-Id"));
});

// A page that follows what changes begins once it has nothing else to do: until then it shows what it was sent.
const live = document.querySelector("meta[name=hx-live]")?.content;
if (live) (window.requestIdleCallback ?? setTimeout)(() => import(live), { timeout: 1000 });

tellTimes();
tellExactly();
showChosen();
for (const tabs of document.querySelectorAll(".hx-tabs")) { // the present tab is in sight where not all of them fit
  const tab = tabs.querySelector("[aria-current]");
  if (tab) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.clientWidth) / 2;
}
setInterval(() => tellTimes(), 30000);
document.querySelector("[data-focus]")?.focus();
