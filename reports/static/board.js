/* The leaderboard's controls: search, filters, columns, precision; the address remembers the view. */
ltbench.ready.then(() => {
  const table = document.getElementById("scores");
  if (!table) return;
  const state = { q: "", m: null, hide: "", family: "", needs: "", backbone: "", d: "1", heat: "1", sd: "1", sort: "" };
  const defaults = { ...state };
  const spans = [...table.tHead.querySelectorAll("th[data-metric][colspan]")];
  const headers = [...table.tHead.querySelectorAll("th[data-key]")];
  const metrics = spans.map((span) => span.dataset.metric);
  const parts = [...new Set(headers.filter((h) => h.dataset.metric !== "cost").map((h) => h.dataset.key.split(".")[1]))];
  /* A copy of the header's own text, subscripts included. */
  const titleOf = (part) => {
    const header = headers.find((one) => one.dataset.key.endsWith(`.${part}`));
    const text = document.createElement("span");
    text.append(...header.querySelector("button").cloneNode(true).childNodes);
    return text;
  };

  /* What is shown at first: image and pixel level side by side, as in the papers. */
  const pixel = metrics.find((name) => name.startsWith("pixel"));
  defaults.m = [metrics[0], pixel].filter(Boolean).join(",");
  if (matchMedia("(max-width: 46rem)").matches) defaults.hide = "backbone";
  read();

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const bar = make("div", { className: "controls" });
  bar.setAttribute("role", "group");
  bar.ariaLabel = "View of the leaderboard";

  const chips = make("div", { className: "chips" });
  for (const span of spans) {
    const chip = make("button", { type: "button", textContent: span.textContent, className: "chip" });
    chip.dataset.metric = span.dataset.metric;
    chip.addEventListener("click", () => {
      const shown = new Set(state.m.split(",").filter(Boolean));
      shown.has(chip.dataset.metric) ? shown.delete(chip.dataset.metric) : shown.add(chip.dataset.metric);
      state.m = metrics.filter((name) => shown.has(name)).join(",");
      apply();
    });
    chips.append(chip);
  }

  const search = make("input", { type: "search", placeholder: "Search methods", ariaLabel: "Search methods" });
  search.addEventListener("input", () => {
    state.q = search.value;
    apply();
  });

  const rows = ltbench.body(table);
  /* Reasons of missing values, each with the letters that refer to it. */
  const notes = [...document.querySelectorAll(".notes li")].map((note) => [
    note, rows.flatMap((row) => [...row.querySelectorAll(`a[href="#${note.id}"]`)]),
  ]);
  const choices = (read) => [...new Set(rows.flatMap(read).filter(Boolean))].sort();
  const menu = (name, label, options) => {
    const select = make("select", { ariaLabel: label }, ...options.map(([value, text]) => make("option", { value, textContent: text })));
    select.addEventListener("change", () => {
      state[name] = select.value;
      apply();
    });
    select.dataset.name = name;
    return select;
  };
  const family = menu("family", "Family", [["", "All families"], ...choices((row) => row.dataset.family).map((one) => [one, one])]);
  const backbone = menu("backbone", "Backbone", [["", "All backbones"], ...choices((row) => row.dataset.backbone).map((one) => [one, one])]);
  const needs = menu("needs", "What a method is told", [
    ["", "Told anything"],
    ["none", "Told pixels only"],
    ...choices((row) => (row.dataset.needs ?? "").split(" ")).map((one) => [one, `Needs ${one.replaceAll("_", " ")}`]),
  ]);

  const chooser = make("details", { className: "chooser" }, make("summary", { textContent: "Columns" }));
  const boxes = make("div", { className: "boxes" });
  const box = (label, isOn, set) => {
    const input = make("input", { type: "checkbox", checked: isOn });
    input.addEventListener("change", () => {
      set(input.checked);
      apply();
    });
    boxes.append(make("label", {}, input, " ", label));
    return input;
  };
  for (const part of [...parts, "seeds", "backbone"]) {
    const hidden = () => new Set(state.hide.split(",").filter(Boolean));
    box({ seeds: "Seeds", backbone: "Backbone, weights" }[part] ?? titleOf(part), !hidden().has(part), (isOn) => {
      const now = hidden();
      isOn ? now.delete(part) : now.add(part);
      state.hide = [...now].join(",");
    });
  }
  box("Standard deviation", state.sd === "1", (isOn) => (state.sd = isOn ? "1" : ""));
  box("Shading", state.heat === "1", (isOn) => (state.heat = isOn ? "1" : ""));
  const decimals = menu("d", "Decimals", [["0", "No decimal"], ["1", "1 decimal"], ["2", "2 decimals"]]);
  boxes.append(decimals);
  chooser.append(boxes);
  document.addEventListener("click", (event) => chooser.contains(event.target) || (chooser.open = false));
  chooser.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    chooser.open = false;
    chooser.querySelector("summary").focus();
  });

  const told = make("p", { className: "told" });
  told.setAttribute("role", "status");
  const actions = table.closest(".frame").previousElementSibling;
  bar.append(chips, make("div", { className: "filters" }, search, family, needs, backbone, chooser), actions, told);
  table.closest(".frame").before(bar);

  /* The view is the part of the address after "#view&". */
  function read() {
    Object.assign(state, defaults);
    if (!location.hash.startsWith("#view&")) return;
    for (const [name, value] of new URLSearchParams(location.hash.slice(6))) if (name in state) state[name] = value;
  }

  function remember() {
    const changed = Object.entries(state).filter(([name, value]) => value !== defaults[name]);
    const hash = changed.length ? `#view&${new URLSearchParams(changed)}` : "";
    if (hash || location.hash.startsWith("#view&")) history.replaceState(null, "", hash || location.pathname + location.search);
  }

  function matches(row) {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const text = `${row.querySelector("th").textContent} ${row.dataset.family} ${row.dataset.backbone}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) return false;
    /* The baseline stays: a number means little without it. */
    if (row.classList.contains("baseline")) return true;
    if (state.family && row.dataset.family !== state.family) return false;
    if (state.backbone && row.dataset.backbone !== state.backbone) return false;
    if (state.needs === "none") return !row.dataset.needs;
    return !state.needs || (row.dataset.needs ?? "").split(" ").includes(state.needs);
  }

  function apply() {
    const shown = new Set(state.m.split(","));
    const hidden = new Set(state.hide.split(",").filter(Boolean));
    const show = (header, isShown) => {
      header.hidden = !isShown;
      const at = ltbench.column(header);
      if (at !== undefined) for (const row of rows) row.cells[at].hidden = !isShown;
    };
    const kept = Object.fromEntries(metrics.map((name) => [name, 0]));
    for (const header of headers) {
      const metric = header.dataset.metric;
      const isShown = shown.has(metric) && !(metric !== "cost" && hidden.has(header.dataset.key.split(".")[1]));
      show(header, isShown);
      kept[metric] += isShown;
    }
    for (const span of spans) {
      span.hidden = kept[span.dataset.metric] === 0;
      span.colSpan = Math.max(1, kept[span.dataset.metric]);
    }
    show(table.tHead.querySelector("th.n"), !hidden.has("seeds"));
    show(table.tHead.querySelector("th.t"), !hidden.has("backbone"));
    for (const row of rows) row.hidden = !matches(row);
    for (const [note, letters] of notes) note.hidden = letters.every((one) => one.closest("td").hidden || one.closest("tr").hidden);
    for (const chip of chips.children) chip.ariaPressed = String(shown.has(chip.dataset.metric));
    for (const select of bar.querySelectorAll("select")) select.value = state[select.dataset.name];
    search.value = state.q;
    table.classList.toggle("plain", state.heat !== "1");
    table.classList.toggle("nospread", state.sd !== "1");
    ltbench.round(table, Number(state.d));
    ltbench.shade(table);
    const count = rows.filter((row) => !row.hidden).length;
    told.textContent = count === rows.length ? "" : `${count} of ${rows.length} methods shown`;
    remember();
  }

  function sortAsTold() {
    const [key, direction] = state.sort.split(":");
    const header = headers.find((one) => one.dataset.key === key) ||
      [...table.tHead.querySelectorAll("th[data-sort]")].find((one) => one.textContent.trim() === key);
    if (header) ltbench.sort(table, header, direction === "up" ? "ascending" : "descending");
  }

  table.addEventListener("sorted", () => {
    const header = [...table.tHead.querySelectorAll("th[data-sort]")].find((one) => one.ariaSort !== "none");
    state.sort = `${header.dataset.key || header.textContent.trim()}:${header.ariaSort === "ascending" ? "up" : "down"}`;
    remember();
  });
  addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#view&")) return;
    read();
    sortAsTold();
    apply();
  });

  sortAsTold();
  apply();
});
