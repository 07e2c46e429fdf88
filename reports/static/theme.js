/* Before the first paint: the chosen theme, and that scripts run. */
try {
  document.documentElement.dataset.theme = localStorage.getItem("ltbench-theme") || "";
} catch {
  /* A browser may forbid storage to files. */
}
document.documentElement.classList.add("js");
