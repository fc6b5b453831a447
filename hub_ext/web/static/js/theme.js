// What stands in the head of each page. Light or dark, before anything is drawn: the key is JupyterHub's own, so that
// both follow one choice.
(() => {
  const key = "jupyterhub-bs-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem(key); } catch { return null; }
  };
  const apply = () => {
    const chosen = stored();
    const theme = chosen === "dark" || chosen === "light" ? chosen : dark.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-bs-theme", theme);
  };
  apply();
  dark.addEventListener("change", apply);
  window.addEventListener("storage", (event) => event.key === key && apply());
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#dark-theme-toggle")) return;
    const now = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    try { localStorage.setItem(key, now); } catch { /* private mode: it holds for this page */ }
    document.documentElement.setAttribute("data-bs-theme", now);
  });
})();

// A page that can be read without its scripts names them: they come once it is drawn, and what was pressed until then is
// pressed again.
(() => {
  const named = () => document.querySelector("meta[name=hx-scripts]")?.content.split(" ") ?? [];
  let pressed = null;
  const keep = (event) => {
    const button = named().length && event.target.closest("form[hx-post] [type=submit], [data-bs-toggle], [data-copy]");
    if (!button) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    pressed = button;
  };
  const begin = () => {
    document.removeEventListener("click", keep, true);
    pressed?.click();
  };
  const bring = () => {
    const scripts = named().map((address) => {
      const script = document.createElement("script");
      Object.assign(script, { src: address, async: false, type: address.includes("/js/") ? "module" : "" });
      return script;
    });
    for (const kind of ["load", "error"]) scripts.at(-1)?.addEventListener(kind, begin);
    document.head.append(...scripts);
  };
  document.addEventListener("click", keep, true);
  window.addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(bring, { timeout: 200 }));
})();
