/* Theme, tabs, copying, and the small panel with the seeds of a number. */
"use strict";

/* Theme: as the system has it, light, or dark. */
{
  const themes = { "": "system", light: "light", dark: "dark" };
  const root = document.documentElement;
  const button = document.createElement("button");
  button.type = "button";
  button.id = "theme";
  const show = () => {
    const name = themes[root.dataset.theme || ""];
    button.textContent = `◐ ${name}`;
    button.ariaLabel = `Theme: ${name}`;
  };
  button.addEventListener("click", () => {
    const order = Object.keys(themes);
    root.dataset.theme = order[(order.indexOf(root.dataset.theme || "") + 1) % order.length];
    try {
      localStorage.setItem("ltbench-theme", root.dataset.theme);
    } catch {
      /* A browser may forbid storage to files: the choice then lasts for one page. */
    }
    show();
  });
  show();
  document.querySelector("header.top").append(button);
}

/* Sections of a [data-tabs] become tabs; the address remembers the open one. */
for (const group of document.querySelectorAll("[data-tabs]")) {
  const panels = [...group.querySelectorAll("[data-tab]")];
  if (panels.length < 2) continue;
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.className = "tablist";
  list.ariaLabel = group.dataset.tabs || "Tables";
  const tabs = panels.map((panel, i) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${i}`;
    tab.textContent = panel.dataset.tab;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", (panel.id ||= `panel-${i}`));
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });
  const open = (chosen, focus) => {
    tabs.forEach((tab, i) => {
      tab.ariaSelected = String(i === chosen);
      tab.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    });
    if (focus) tabs[chosen].focus();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => {
      open(i, false);
      history.replaceState(null, "", `#${panels[i].id}`);
    });
    tab.addEventListener("keydown", (event) => {
      const next = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      const chosen = (next + tabs.length) % tabs.length;
      open(chosen, true);
      history.replaceState(null, "", `#${panels[chosen].id}`);
    });
  });
  group.prepend(list);
  const named = panels.findIndex((panel) => `#${panel.id}` === location.hash);
  open(Math.max(named, 0), false);
}

/* Copying works from a file too. */
ltbench.copy = async function (text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  button.classList.add("done");
  setTimeout(() => {
    button.textContent = before;
    button.classList.remove("done");
  }, 1500);
};

for (const place of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.ariaLabel = `Copy ${place.dataset.copy || "text"}`;
  const text = place.textContent;
  button.addEventListener("click", () => ltbench.copy(text, button));
  place.after(button);
}

/* Seeds of a number, beside the cell under the pointer or with the focus. */
{
  const panel = document.createElement("div");
  panel.id = "seeds";
  panel.setAttribute("role", "tooltip");
  panel.hidden = true;
  document.body.append(panel);

  const hide = () => {
    panel.hidden = true;
    document.querySelector("[aria-describedby=seeds]")?.removeAttribute("aria-describedby");
  };

  const show = (cell) => {
    const table = cell.closest("table");
    const header = [...table.tHead.querySelectorAll("th[data-key]")].find(
      (one) => ltbench.column(one) === cell.cellIndex,
    );
    if (!header) return;
    const seeds = (table.dataset.seeds || "").split(" ");
    const values = cell.dataset.s.split(" ");
    const known = values.filter((value) => value !== "").map(Number);
    const low = Math.min(...known);
    const span = Math.max(...known) - low || 1;
    const dots = values
      .map((value, i) => (value === "" ? "" : `<b style="left:${(4 + (92 * (value - low)) / span).toFixed(1)}%"></b>`))
      .join("");
    const lines = values
      .map((value, i) => (value === "" ? "" : `<li><span>seed ${seeds[i]}</span> ${Number(value).toFixed(2)}</li>`))
      .join("");
    const name = cell.parentElement.querySelector("th").querySelector("a").textContent;
    const metric = header.dataset.title || header.textContent;
    panel.innerHTML = `<p></p><div class="strip">${dots}</div><ul>${lines}</ul>${cell.dataset.more || ""}`;
    panel.firstChild.textContent = `${name}, ${metric}`;
    panel.hidden = false;
    const box = cell.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - panel.offsetWidth - 8);
    const below = box.bottom + 6 + panel.offsetHeight < innerHeight;
    panel.style.left = `${Math.max(8, left) + scrollX}px`;
    panel.style.top = `${(below ? box.bottom + 6 : box.top - panel.offsetHeight - 6) + scrollY}px`;
    cell.querySelector("a")?.setAttribute("aria-describedby", "seeds");
  };

  const follow = (event) => {
    const cell = event.target.closest?.("td[data-s]");
    if (cell) {
      hide();
      show(cell);
    } else if (!event.target.closest?.("#seeds")) hide();
  };
  document.addEventListener("mouseover", follow);
  document.addEventListener("focusin", follow);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
