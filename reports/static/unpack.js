/* First of the scripts: unfolds the packed parts of a page; the others wait for `ltbench.ready`. */
"use strict";

const ltbench = {
  async inflate(text) {
    const folded = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
    const stream = folded.stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  },

  /* A text and the numbers at its places by their decimals: all low bytes, then all high ones; as
     reports/packing.py writes them. */
  async unpack(folded) {
    const [text, numbers] = await Promise.all(folded.split(" ").map(ltbench.inflate));
    const html = new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
    const [whole, tenths] = ["\x01", "\x02"].map((place) => html.split(place).length - 1);
    const next = [0, whole, whole + tenths];
    return html.replace(/[\x01-\x03]/g, (place) => {
      const decimals = place.charCodeAt(0) - 1;
      const at = next[decimals]++;
      return ((numbers[at] + 256 * numbers[at + numbers.length / 2]) / 10 ** decimals).toFixed(decimals);
    });
  },

  /* Facts that stand in the page as JSON. */
  facts(id) {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : {};
  },
};

ltbench.ready = (async () => {
  const places = [...document.querySelectorAll("[data-packed]")];
  const parts = await Promise.all(places.map((place) => ltbench.unpack(place.dataset.packed)));
  places.forEach((place, at) => {
    const part = document.createElement("template");
    part.innerHTML = parts[at];
    place.replaceWith(part.content);
  });
  const named = places.length && location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (named) named.scrollIntoView();
})();
