/* First of the scripts: unfolds the packed parts of a large page; the others wait for `ltbench.ready`. */
"use strict";

const ltbench = {
  async unpack(place) {
    const bytes = Uint8Array.from(atob(place.dataset.packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const part = document.createElement("template");
    part.innerHTML = await new Response(stream).text();
    place.replaceWith(part.content);
  },

  /* Facts that stand in the page as JSON. */
  facts(id) {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : {};
  },
};

ltbench.ready = (async () => {
  const places = [...document.querySelectorAll("[data-packed]")];
  if (places.length && !("DecompressionStream" in window)) {
    for (const place of places) {
      place.className = "notice";
      place.textContent = "This browser is too old to unfold this part; its numbers are in the files of the page “Data”.";
    }
    return;
  }
  await Promise.all(places.map(ltbench.unpack));
  const named = places.length && location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (named) named.scrollIntoView();
})();
