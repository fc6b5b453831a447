// An event stream read by fetch and not by EventSource: so the token against forgery stays out of the address, and
// what the server answers can be told apart.

export const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-XSRFToken"];

const pause = (milliseconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

async function listen(url, state, take, signal) {
  const headers = { Accept: "text/event-stream", "X-XSRFToken": token() };
  if (state.cursor) headers["Last-Event-ID"] = state.cursor;
  const response = await fetch(url, { headers, cache: "no-store", signal });
  if (response.status === 401 || response.status === 403) { location.reload(); state.over = true; return; }
  if (!response.ok) throw new Error(String(response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (!state.over) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
        else if (line.startsWith("id:")) state.cursor = line.slice(3).trim();
      }
      if (name === "end") state.over = true;
      else if (data.length) take(name, JSON.parse(data.join("\n")));
    }
  }
  reader.cancel();
}

// Follows until `state.over`, or until the signal: a connection that breaks goes on after the last event that was seen.
export async function follow(url, state, take, { signal, lost } = {}) {
  let wait = 500;
  while (!state.over && !signal?.aborted) {
    try {
      lost?.(false);
      await listen(url, state, take, signal);
      wait = 500;
    } catch {
      if (signal?.aborted) return;
      lost?.(true);
      wait = Math.min(8000, wait * 2);
    }
    if (!state.over) await pause(wait, signal);
  }
}
