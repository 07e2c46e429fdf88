/* Theme, tabs, copying, links of numbers, and the small panel with the seeds of a number. */
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

ltbench.ready.then(() => {
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

  /* Numbers of the leaderboard lead to their runs. */
  for (const table of document.querySelectorAll("table[data-runs]")) {
    for (const row of ltbench.body(table)) {
      for (const cell of row.cells) {
        if (cell.matches("th, .rank, .t, .x") || cell.querySelector("a")) continue;
        const link = document.createElement("a");
        link.href = `${table.dataset.runs}#${row.id}`;
        if (!cell.matches(".n")) link.tabIndex = -1;
        cell.firstChild.replaceWith(link, cell.firstChild);
        link.append(link.nextSibling);
      }
    }
  }
});

/* Arrow keys move between the links of a table. */
document.addEventListener("keydown", (event) => {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const cell = document.activeElement?.closest?.("table.grid > tbody > tr > *");
  const step = steps[event.key];
  if (!cell || !step || document.activeElement === cell) return;
  let [row, at] = [cell.parentElement, cell.cellIndex];
  for (;;) {
    if (step[0]) row = step[0] < 0 ? row.previousElementSibling : row.nextElementSibling;
    at += step[1];
    const next = row?.cells[at];
    if (!next) return;
    const link = next.querySelector("a");
    if (row.hidden || next.hidden || !link) continue;
    event.preventDefault();
    link.focus();
    return;
  }
});

/* Seeds of a number, beside the cell under the pointer or with the focus. */
{
  const panel = document.createElement("div");
  panel.id = "seeds";
  panel.setAttribute("role", "tooltip");
  panel.hidden = true;
  document.body.append(panel);
  const add = (parent, tag, text = "") => {
    const element = document.createElement(tag);
    element.textContent = text;
    parent.append(element);
    return element;
  };

  const hide = () => {
    panel.hidden = true;
    document.querySelector("[aria-describedby=seeds]")?.removeAttribute("aria-describedby");
  };

  /* Student's 95 % interval of the mean of the seeds' values, with quantiles by their number. */
  const overSeeds = (values, quantiles) => {
    const quantile = quantiles?.[values.length];
    if (!quantile || values.includes(null)) return null;
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    const half = quantile * Math.sqrt(squares / (values.length - 1) / values.length);
    return [Math.max(0, mean - half), Math.min(10000, mean + half)];
  };

  /* Evidence of the number in a cell, in hundredths of a point; see reports/details.py. */
  const factsOf = (cell) => {
    const table = cell.closest("table[data-name]");
    const header = table && [...table.tHead.querySelectorAll("th[data-key]")].find(
      (one) => ltbench.column(one) === cell.cellIndex,
    );
    if (!header) return null;
    ltbench.details ??= ltbench.facts("details");
    const facts = ltbench.details[table.dataset.name];
    const at = facts?.rows.indexOf(cell.parentElement.dataset.row ?? cell.parentElement.id);
    const found = facts?.columns[header.dataset.key]?.[at];
    if (!found) return null;
    const [values = [], overImages = [], rank = []] = found;
    return { table, header, values, rank, overSeeds: overSeeds(values, facts.t), overImages, seeds: facts.seeds[at] };
  };

  const show = (cell, { table, header, values, rank, overSeeds, overImages, seeds }) => {
    const known = values.filter((value) => value !== null);
    const ends = [...known, ...overImages];
    const low = Math.min(...ends);
    const span = Math.max(...ends) - low || 1;
    const place = (value) => `${4 + (92 * (value - low)) / span}%`;
    const percent = (value) => ltbench.write(value / 100, 2);
    const name = cell.parentElement.querySelector("th").textContent.trim();
    panel.replaceChildren();
    const heading = add(panel, "p", `${name}: ${header.dataset.title ?? table.dataset.title ?? ""} `);
    /* The header's own text, subscripts included. */
    heading.append(...(header.querySelector("button") ?? header).cloneNode(true).childNodes);
    const strip = add(panel, "div");
    strip.className = "strip";
    if (overImages.length) {
      const bar = add(strip, "s");
      bar.style.left = place(overImages[0]);
      bar.style.width = `${(92 * (overImages[1] - overImages[0])) / span}%`;
    }
    for (const value of known) add(strip, "b").style.left = place(value);
    const list = add(panel, "ul");
    values.forEach((value, i) => {
      const line = add(list, "li");
      add(line, "span", `seed ${seeds[i]} `);
      line.append(value === null ? "n/a" : percent(value));
    });
    const tell = (words) => (add(panel, "p", words).className = "rank");
    if (overImages.length) tell(`95 % over test images: ${overImages.map(percent).join(" to ")}`);
    if (overSeeds) tell(`95 % over seeds: ${overSeeds.map(percent).join(" to ")}`);
    if (rank.length) tell(rank[0] === rank[1] ? `rank ${rank[0]}` : `rank ${rank[0]} to ${rank[1]}`);
    panel.hidden = false;
    const box = cell.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - panel.offsetWidth - 8);
    const below = box.bottom + 6 + panel.offsetHeight < innerHeight;
    panel.style.left = `${Math.max(8, left) + scrollX}px`;
    panel.style.top = `${(below ? box.bottom + 6 : box.top - panel.offsetHeight - 6) + scrollY}px`;
    cell.querySelector("a")?.setAttribute("aria-describedby", "seeds");
  };

  const follow = (event) => {
    const cell = event.target.closest?.("table[data-name] > tbody > tr > td");
    const facts = cell && factsOf(cell);
    if (facts) {
      hide();
      show(cell, facts);
    } else if (!event.target.closest?.("#seeds")) hide();
  };
  document.addEventListener("mouseover", follow);
  document.addEventListener("focusin", follow);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
