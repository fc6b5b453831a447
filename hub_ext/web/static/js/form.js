// The form of a workflow: each field is checked as one leaves it, by the schema the server has. The server decides.

const form = document.querySelector("form[data-check]");
const left = new Set();
let asked = 0;

const boxOf = (element) => element.closest("[data-field]");
const plain = (name) => name.replace(/^[pl]\./, "");

function show(box, message) {
  const error = box.querySelector(".hx-error");
  if (!error || error.textContent === message) return;
  error.textContent = message;
  for (const control of box.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    control.toggleAttribute("aria-invalid", Boolean(message));
    if (message) control.setAttribute("aria-invalid", "true");
    if (!control.matches("[type=checkbox], [type=radio]")) control.classList.toggle("is-invalid", Boolean(message));
  }
}

// What a browser's own field cannot hold never reaches the server: it has to be said here.
function unreadable(control) {
  if (!control.validity?.badInput) return "";
  const words = { number: "must be a number, such as 1.5", date: "must be a date that exists", time: "must be a time of day" };
  return words[control.type] ?? "cannot be read";
}

async function check() {
  const turn = ++asked;
  const data = new FormData(form);
  for (const secret of form.querySelectorAll("input[type=password]")) data.delete(secret.name);
  data.delete("understood");
  let answer;
  try {
    const response = await fetch(form.dataset.check, {
      method: "POST", body: new URLSearchParams(data), headers: { "X-XSRFToken": data.get("_xsrf") },
    });
    if (!response.ok) return;
    answer = await response.json();
  } catch {
    return; // no connection: the order itself will say so
  }
  if (turn !== asked) return;
  for (const box of form.querySelectorAll("[data-field]")) {
    const name = box.dataset.field;
    if (!/^[pl]\./.test(name) || !left.has(name) || box.querySelector("input[type=password]")) continue;
    const own = unreadable(box.querySelector("input, select, textarea"));
    show(box, own || (answer.errors[plain(name)] ?? ""));
  }
}

if (form) {
  form.noValidate = true; // the server's words, beside the field
  form.addEventListener("change", (event) => {
    const box = boxOf(event.target);
    if (!box) return;
    left.add(box.dataset.field);
    check();
  });
  form.addEventListener("focusout", (event) => {
    const box = boxOf(event.target);
    if (!box || box.contains(event.relatedTarget)) return;
    const error = box.querySelector(".hx-error");
    if (left.has(box.dataset.field) || error?.textContent) return;
    if (event.target.required && !event.target.value) { left.add(box.dataset.field); check(); }
  });
  form.addEventListener("submit", (event) => {
    const bad = [...form.elements].find((control) => !control.disabled && unreadable(control));
    if (!bad) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    show(boxOf(bad), unreadable(bad));
    bad.focus();
  }, { capture: true });
}
