/* Figures as files of their own; the address of a leaderboard's view. */
ltbench.ready.then(() => {
  function save(name, svg) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
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
      save(`${figure.dataset.figure}.svg`, alone(figure.querySelector("svg"))),
    );
    const pdf = button.cloneNode();
    pdf.textContent = "PDF";
    pdf.title = "Prints this figure alone: choose “Save as PDF”";
    pdf.addEventListener("click", () => printAlone(figure));
    figure.append(button, pdf);
  }

  const table = document.getElementById("scores");
  if (table) {
    const actions = document.createElement("div");
    actions.className = "actions";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy link";
    button.title = "Copies the address of this view";
    button.addEventListener("click", () => ltbench.copy(location.href, button));
    actions.append(button);
    table.closest(".frame").before(actions);
  }
});
