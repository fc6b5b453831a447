// When this server ends, told where the person is. A module of JupyterLab's federation, written by hand: it needs
// nothing that others share, so there is nothing to build.
(() => {
  const EVERY = 60_000; // milliseconds between two questions to this server
  const STYLE = "position:fixed;left:50%;top:2.2rem;transform:translateX(-50%);z-index:10000;display:flex;gap:1rem;"
    + "align-items:center;max-width:calc(100vw - 2rem);padding:.6rem 1rem;border-radius:6px;font-size:14px;"
    + "background:#fff3cd;color:#1f1f1f;border:1px solid #8a6d00;"
    + "box-shadow:0 2px 8px rgb(0 0 0 / 30%)";

  function words(end) {
    const at = new Date(end.ends_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const why = end.ending || "It reaches the longest life that its profile allows.";
    return `This server ends at ${at}. ${why} Files stay; what is only in memory is lost.`;
  }

  function activate(app) {
    const { baseUrl, token } = app.serviceManager.serverSettings;
    let box = null, told = "", dismissed = "";

    // The region is there from the start and only filled later: so a screen reader says what comes into it.
    const region = document.createElement("div");
    region.id = "hub-ext-end";
    region.setAttribute("role", "status");
    document.body.append(region);

    function hide() { box?.remove(); box = null; told = ""; }

    function show(end) {
      const text = words(end);
      if (text === told || text === dismissed) return;
      hide();
      told = text;
      box = document.createElement("div");
      box.style.cssText = STYLE;
      const said = document.createElement("span");
      said.textContent = text;
      box.append(said);
      if (end.home && !end.ending && end.can_be_kept > 0) {
        const keep = document.createElement("a");
        keep.href = end.home;
        keep.target = "_blank";
        keep.rel = "noopener";
        keep.style.cssText = "color:inherit;font-weight:600;text-decoration:underline;white-space:nowrap";
        keep.textContent = "Keep for another hour";
        box.append(keep);
      }
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "Dismiss";
      close.addEventListener("click", () => { dismissed = text; hide(); });
      box.append(close);
      region.append(box);
    }

    async function ask() {
      if (document.visibilityState === "hidden") return;
      try {
        const headers = token ? { Authorization: `token ${token}` } : {};
        const answer = await fetch(`${baseUrl}hub-ext/end`, { headers, credentials: "same-origin" });
        if (!answer.ok) return;
        const end = await answer.json();
        if (end.ends_at && (end.announced || end.ending)) show(end); else hide();
      } catch { /* the server is away: JupyterLab itself says so */ }
    }

    document.addEventListener("visibilitychange", ask);
    setInterval(ask, EVERY);
    ask();
  }

  const plugin = { id: "hub-ext-announce:plugin", autoStart: true, activate };
  (window._JUPYTERLAB ??= {})["hub-ext-announce"] = {
    init: () => undefined,
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
