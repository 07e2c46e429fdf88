/* What is on screen as CSV or as a LaTeX (booktabs) table, for every table that has a name. */
"use strict";

ltbench.ready.then(() => {
  const without = (cell, parts) => {
    const copy = cell.cloneNode(true);
    for (const part of copy.querySelectorAll(parts)) part.remove();
    /* Narrow spaces group the digits of large numbers. */
    return copy.textContent.replaceAll("\u202f", "").replace(/\s+/g, " ").trim();
  };
  const plain = (cell) => without(cell, "i, sup, .here, .caution");
  const title = (header) => without(header, "small");
  const isScore = (header) => header.dataset.key && !header.dataset.unit;
  const spread = (cell) => cell.querySelector("i")?.textContent ?? "";
  const sign = (text) => text.replace("−", "-");
  /* Below a printed number: what was measured in its place, and the difference. */
  const beside = (cell) => [".here a", ".here .badge"].map((part) => cell.querySelector(part)?.textContent ?? "");

  /* A column's own name, or its title with that of the header above it. */
  function name(table, header) {
    if (header.dataset.key) return header.dataset.key;
    let at = 0;
    const above = [...table.tHead.rows[0].cells].find((one) => (at += one.colSpan) > ltbench.column(header));
    return above === header ? title(header) : `${title(above)} ${title(header)}`;
  }

  /* Visible columns from left to right, and visible rows. */
  function screen(table) {
    const columns = [...table.tHead.querySelectorAll("th")].filter(
      (one) => ltbench.column(one) !== undefined && !one.hidden,
    );
    columns.sort((one, two) => ltbench.column(one) - ltbench.column(two));
    const rows = ltbench.body(table).filter((row) => !row.hidden);
    return { columns, rows, withSpread: !table.classList.contains("nospread") };
  }

  ltbench.csv = function (table) {
    const { columns, rows, withSpread } = screen(table);
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const withMeasured = rows.some((row) => row.querySelector(".here"));
    const head = columns.flatMap((h, i) => {
      const own = name(table, h);
      if (withMeasured && i) return [own, `${own}.measured`, `${own}.delta`];
      return isScore(h) && withSpread ? [own, `${own}.sd`] : [own];
    });
    const body = rows.map((row) =>
      columns.flatMap((h, i) => {
        const cell = row.cells[ltbench.column(h)];
        const text = sign(plain(cell)).replace("n/a", "");
        if (withMeasured && i) return [text, ...beside(cell).map(sign)];
        return isScore(h) && withSpread ? [text, spread(cell)] : [text];
      }),
    );
    return [head, ...body].map((line) => line.map(quote).join(",")).join("\n") + "\n";
  };

  ltbench.latex = function (table) {
    const { columns, rows, withSpread } = screen(table);
    /* Boards leave out what is not a score or a cost: seeds, backbone, rank. */
    const isBoard = table.matches("#scores, .classes");
    const kept = columns.filter((h) => !isBoard || h.classList.contains("method") || h.dataset.key);
    const clean = (text) => text.replace(/[&%$#_{}]/g, "\\$&").replaceAll("−", "$-$");
    const head = kept.map((h) => clean(title(h)).replace(/^C([th])$/, "$C_$1$"));
    const [first, ...others] = kept.map((h) => (h.dataset.sort === "text" || h.classList.contains("t") ? "l" : "r"));
    const spans = [...table.tHead.querySelectorAll("th[colspan]")].filter((span) => !span.hidden);
    const over = spans.map((span) => `\\multicolumn{${span.colSpan}}{c}{${clean(title(span))}}`);
    const body = rows.map((row) =>
      kept.map((h) => {
        const cell = row.cells[ltbench.column(h)];
        if (cell.classList.contains("x")) return "--";
        let text = clean(plain(cell));
        if (cell.classList.contains("b")) text = `\\textbf{${text}}`;
        if (cell.classList.contains("u")) text = `\\underline{${text}}`;
        const [measured] = beside(cell);
        if (measured) return `${text} {\\scriptsize(${measured})}`;
        return isScore(h) && withSpread && spread(cell) ? `${text} {\\scriptsize$\\pm$${spread(cell)}}` : text;
      }),
    );
    const rule = rows.findIndex((row) => row.classList.contains("baseline"));
    return [
      "% needs \\usepackage{booktabs}",
      `\\begin{tabular}{${first ? "l" : ""}${others.join("")}}`,
      "\\toprule",
      ...(over.length ? [`${["", ...over].join(" & ")} \\\\`] : []),
      `${head.join(" & ")} \\\\`,
      "\\midrule",
      ...body.map((line, i) => `${i === rule ? "\\midrule\n" : ""}${line.join(" & ")} \\\\`),
      "\\bottomrule",
      "\\end{tabular}",
      "",
    ].join("\n");
  };

  function save(name, text, type = "text/csv") {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* The page holds the figures' style once; a file of its own needs it inside. */
  function alone(svg) {
    const copy = svg.cloneNode(true);
    const style = document.createElementNS(svg.namespaceURI, "style");
    style.textContent = document.getElementById("figure-style").textContent;
    copy.prepend(style);
    return new XMLSerializer().serializeToString(copy);
  }

  /* A page of the figure's size with nothing else on it: the browser makes a PDF of vectors from it. */
  function printAlone(figure) {
    const svg = figure.querySelector("svg");
    const [, , width, height] = svg.getAttribute("viewBox").split(" ");
    const sheet = document.createElement("style");
    sheet.textContent = `@page { size: ${width}px ${height}px; margin: 0 }`;
    const alone = document.createElement("div");
    alone.id = "alone";
    alone.append(svg.cloneNode(true));
    document.head.append(sheet);
    document.body.append(alone);
    document.documentElement.classList.add("one-figure");
    const title = document.title;
    document.title = figure.dataset.figure;
    addEventListener(
      "afterprint",
      () => {
        sheet.remove();
        alone.remove();
        document.documentElement.classList.remove("one-figure");
        document.title = title;
      },
      { once: true },
    );
    print();
  }

  for (const figure of document.querySelectorAll("[data-figure]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "SVG";
    button.title = "Saves this figure";
    button.addEventListener("click", () =>
      save(`${figure.dataset.figure}.svg`, alone(figure.querySelector("svg")), "image/svg+xml"),
    );
    const pdf = button.cloneNode();
    pdf.textContent = "PDF";
    pdf.title = "Prints this figure alone: choose “Save as PDF”";
    pdf.addEventListener("click", () => printAlone(figure));
    figure.append(button, pdf);
  }

  for (const table of document.querySelectorAll("table[data-name]")) {
    const actions = document.createElement("div");
    actions.className = "actions";
    const act = (text, hint, run) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = text;
      button.title = hint;
      button.addEventListener("click", () => run(button));
      actions.append(button);
    };
    act("CSV", "Saves what is on screen", () => save(`${table.dataset.name}.csv`, ltbench.csv(table)));
    act("Copy LaTeX", "Copies what is on screen as a booktabs table", (button) =>
      ltbench.copy(ltbench.latex(table), button),
    );
    act("Copy link", "Copies the address of this view", (button) => ltbench.copy(location.href, button));
    table.closest(".frame").before(actions);
  }
});
