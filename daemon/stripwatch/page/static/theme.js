/* Dark or light, before anything is painted: a classic script, so that nothing flashes. */
(function () {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off: the system decides
    }
  };
  const show = () => { root.dataset.theme = chosen() ?? (system.matches ? "dark" : "light"); };
  system.addEventListener("change", show);
  root.toggleTheme = () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("theme", next);
    } catch {
      // The choice lasts until the page is left.
    }
    root.dataset.theme = next;
    dispatchEvent(new Event("theme"));
  };
  show();
})();
