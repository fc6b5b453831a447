// Light or dark, before anything is drawn. The key is JupyterHub's own, so that both follow one choice.
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
