// Sets light or dark before the first paint; a classic script, so that nothing flashes.
(() => {
  const chosen = localStorage.getItem("stowage-theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.bsTheme = chosen ?? (prefersDark ? "dark" : "light");
})();
