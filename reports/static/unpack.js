/* First of the scripts: unfolds the packed parts of a large page; the others wait for `ltbench.ready`. */
"use strict";

const ltbench = {
  /* Base 85 with the characters of reports/packing.py: five characters are four bytes, the last may be fewer. */
  bytes(text) {
    const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;/=.?@^_`{|}~";
    const values = new Map([...letters].map((letter, value) => [letter, value]));
    const lacking = (5 - (text.length % 5)) % 5;
    const whole = text + "~".repeat(lacking);
    const found = new DataView(new ArrayBuffer((whole.length / 5) * 4));
    for (let at = 0; at < whole.length; at += 5) {
      let number = 0;
      for (let next = at; next < at + 5; next++) number = number * 85 + values.get(whole[next]);
      found.setUint32((at / 5) * 4, number);
    }
    return new Uint8Array(found.buffer, 0, found.byteLength - lacking);
  },

  async unpack(place) {
    const stream = new Blob([ltbench.bytes(place.dataset.packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
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
