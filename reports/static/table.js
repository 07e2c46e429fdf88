/* Tables: exact values, sorting by mouse and keyboard, shading. Every table reads without this script. */
Object.assign(ltbench, {
  /* The number in a cell, or NaN: "−1.23", "12 345", "2/3", "9 + 1" (the first of the two). */
  value(cell) {
    const node = (cell.querySelector("a") || cell).firstChild;
    const text = node?.exact ?? node?.textContent ?? "";
    const found = text.replace("−", "-").replace(/\u202f/g, "").match(/^\s*-?[\d.]+/);
    return found ? Number(found[0]) : NaN;
  },

  /* Cells of a row by column, whatever their header row. */
  column(header) {
    return ltbench.columns.get(header);
  },

  columns: new WeakMap(),

  body(table) {
    return [...table.tBodies[0].rows];
  },

  write(value, decimals) {
    return value.toFixed(decimals).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  },

  /* A written number with `decimals` of its two. A final five was either rounded up (`isLess`) or not: in binary
     neither 64.95 nor its half is exact, so it is moved a little to the side where the number lies. */
  shorten(text, decimals, isLess) {
    const value = Number(text.replace("−", "-"));
    const aside = text.trim().endsWith("5") ? Math.sign(value) * (isLess ? -0.001 : 0.001) : 0;
    return ltbench.write(value + aside, decimals);
  },
});

/* Position of every header cell in the rows of the body, with spans taken into account. */
function place(table) {
  const taken = [];
  [...table.tHead.rows].forEach((row, level) => {
    taken[level] ??= [];
    let at = 0;
    for (const header of row.cells) {
      while (taken[level][at]) at++;
      if (header.colSpan === 1) ltbench.columns.set(header, at);
      for (let below = level; below < level + header.rowSpan; below++) {
        taken[below] ??= [];
        for (let beside = at; beside < at + header.colSpan; beside++) taken[below][beside] = true;
      }
      at += header.colSpan;
    }
  });
}

/* A column below a metric's header knows its metric; a hint stands in the page once for all metrics. */
function name(table) {
  for (const header of table.tHead.querySelectorAll("th[data-key]")) {
    const [metric, part] = header.dataset.key.split(".");
    const above = table.tHead.querySelector(`th[colspan][data-metric="${metric}"]`);
    if (!above) continue;
    header.dataset.metric = metric;
    header.dataset.sort ??= "number";
    header.dataset.title = above.textContent;
    header.title ||= table.tHead.querySelector(`th[data-key$=".${part}"][title]`)?.title ?? "";
  }
}

function makeSortable(table) {
  for (const header of table.tHead.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    /* A header that links somewhere keeps its link, with the button beside it. */
    if (header.querySelector("a")) button.ariaLabel = `Sort by ${header.textContent.trim()}`;
    else button.append(...header.childNodes);
    header.append(button);
    header.ariaSort ??= "none";
    button.addEventListener("click", () => {
      const first = header.dataset.sort === "text" || "low" in header.dataset ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      ltbench.sort(table, header, header.ariaSort === first ? other : first);
      table.dispatchEvent(new CustomEvent("sorted", { bubbles: true }));
    });
  }
}

/* Rows without a value come last in both directions; the baseline stays at the foot. */
ltbench.sort = function (table, header, direction) {
  const at = ltbench.column(header);
  const isText = header.dataset.sort === "text";
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = ltbench.body(table).map((row) => {
    const cell = row.cells[at];
    return { row, key: isText ? cell.textContent.trim().toLowerCase() : ltbench.value(cell) };
  });
  const pinned = (one) => (one.row.classList.contains("baseline") ? 1 : 0);
  keyed.sort((one, two) => {
    if (pinned(one) !== pinned(two)) return pinned(one) - pinned(two);
    if (isText) return sign * one.key.localeCompare(two.key, "en", { numeric: true });
    if (Number.isNaN(one.key) || Number.isNaN(two.key)) return Number.isNaN(one.key) - Number.isNaN(two.key);
    return sign * (one.key - two.key);
  });
  table.tBodies[0].append(...keyed.map((one) => one.row));
  for (const other of table.tHead.querySelectorAll("th[data-sort]")) other.ariaSort = "none";
  header.ariaSort = direction;
  if (!isText && header.dataset.key) ltbench.rank(table, header);
};

/* Ranks by the means of one column; ties share a rank. A gap is neither good nor bad: it ranks nothing. */
ltbench.rank = function (table, header) {
  const at = ltbench.column(header);
  const isGap = header.dataset.key.endsWith(".gap");
  const sign = "low" in header.dataset ? -1 : 1;
  const hint = table.tHead.querySelector(".rank abbr");
  if (hint) hint.title = isGap ? "a gap ranks nothing" : `rank by ${header.dataset.title ?? ""}, ${header.textContent.trim()}`;
  const rows = ltbench.body(table).filter((row) => row.cells[0].classList.contains("rank"));
  const ranked = rows.filter((row) => !row.matches(".baseline, .unranked") && !Number.isNaN(ltbench.value(row.cells[at])));
  const values = ranked.map((row) => ltbench.value(row.cells[at]));
  for (const row of rows) row.cells[0].textContent = "";
  if (isGap) return;
  ranked.forEach((row, position) => {
    const better = values.filter((value) => sign * (value - values[position]) > 0).length;
    row.cells[0].textContent = String(1 + better);
  });
};

/* Level of each score within its column, as a custom property that the style sheet turns into a shade. */
ltbench.shade = function (table) {
  for (const header of table.tHead.querySelectorAll("th[data-key]")) {
    if (header.dataset.unit || header.dataset.key.endsWith(".gap")) continue;
    const at = ltbench.column(header);
    const rows = ltbench.body(table).filter((row) => !row.hidden && !row.classList.contains("baseline"));
    const values = rows.map((row) => ltbench.value(row.cells[at]));
    const known = values.filter((value) => !Number.isNaN(value));
    const low = Math.min(...known);
    const span = Math.max(...known) - low;
    rows.forEach((row, i) => {
      const level = span > 0 && !Number.isNaN(values[i]) ? (values[i] - low) / span : 0;
      row.cells[at].style.setProperty("--level", level.toFixed(3));
      row.cells[at].classList.add("shaded");
    });
  }
};

/* The text of the file has two decimals; `decimals` of them are shown. */
ltbench.round = function (table, decimals) {
  for (const header of table.tHead.querySelectorAll("th[data-key]")) {
    if (header.dataset.unit) continue;
    const at = ltbench.column(header);
    for (const row of ltbench.body(table)) {
      const cell = row.cells[at];
      for (const node of [(cell.querySelector("a") || cell).firstChild, cell.querySelector("i")?.firstChild]) {
        if (!node || node.nodeType !== Node.TEXT_NODE) continue;
        node.exact ??= node.textContent;
        if (node.exact.trim() === "" || Number.isNaN(Number(node.exact.replace("−", "-")))) continue;
        const isLess = node.parentElement.closest("td, i").classList.contains("d");
        node.textContent = ltbench.shorten(node.exact, decimals, isLess);
      }
    }
  }
};

ltbench.ready.then(() => {
  for (const table of document.querySelectorAll("table.grid")) {
    if (!table.tHead || !table.tBodies.length) continue;
    place(table);
    name(table);
    makeSortable(table);
    ltbench.shade(table);
    ltbench.round(table, 1);
  }
});
