/* First of the scripts: unfolds the packed parts of a large page; the others wait for `ltbench.ready`. */
"use strict";

/* LZMA with the settings of reports/packing.py: lc = 3, lp = 0, pb = 0, closed by an end mark. A bit costs the
   less the surer its context is: the chance of a 0, of 2048, which every bit moves by a thirty-second. */
function unfold(packed) {
  const contexts = (size) => new Uint16Array(size).fill(1024);
  const isMatch = contexts(12);
  const isRepeat = contexts(12);
  const isOlder = [contexts(12), contexts(12), contexts(12)];
  const isLong = contexts(12);
  const literals = contexts(8 * 0x300);
  const slots = contexts(4 * 64);
  const middle = contexts(128);
  const last = contexts(16);
  const lengths = [0, 1].map(() => ({ choice: contexts(2), short: contexts(8), medium: contexts(8), long: contexts(256) }));
  let at = 5;
  let range = 0xffffffff;
  let code = new DataView(packed.buffer, packed.byteOffset).getUint32(1);
  let out = new Uint8Array(1 << 16);
  let size = 0;

  const bit = (probs, index) => {
    const chance = probs[index];
    const bound = (range >>> 11) * chance;
    let found = 0;
    if (code < bound) {
      range = bound;
      probs[index] = chance + ((2048 - chance) >>> 5);
    } else {
      range -= bound;
      code -= bound;
      probs[index] = chance - (chance >>> 5);
      found = 1;
    }
    if (range < 0x1000000) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | packed[at++]) >>> 0;
    }
    return found;
  };
  const tree = (probs, start, bits) => {
    let node = 1;
    for (let i = 0; i < bits; i++) node = 2 * node + bit(probs, start + node);
    return node - (1 << bits);
  };
  const reversed = (probs, start, bits) => {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const next = bit(probs, start + node);
      node = 2 * node + next;
      value += next << i;
    }
    return value;
  };
  const even = (bits) => {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      range >>>= 1;
      const next = code >= range ? 1 : 0;
      if (next) code -= range;
      if (range < 0x1000000) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | packed[at++]) >>> 0;
      }
      value = 2 * value + next;
    }
    return value;
  };
  const length = (of) => {
    if (!bit(of.choice, 0)) return 2 + tree(of.short, 0, 3);
    if (!bit(of.choice, 1)) return 10 + tree(of.medium, 0, 3);
    return 18 + tree(of.long, 0, 8);
  };
  const distance = (count) => {
    const slot = tree(slots, 64 * Math.min(count - 2, 3), 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + reversed(middle, base - slot, bits);
    return base + even(bits - 4) * 16 + reversed(last, 0, 4);
  };
  const room = (count) => {
    if (size + count <= out.length) return;
    const larger = new Uint8Array(2 * out.length);
    larger.set(out);
    out = larger;
  };

  let state = 0;
  const recent = [0, 0, 0, 0];
  for (;;) {
    if (!bit(isMatch, state)) {
      room(1);
      const start = 0x300 * (size ? out[size - 1] >> 5 : 0);
      let node = 1;
      /* After a match the byte that would have gone on is a hint, until the first bit that differs. */
      for (let hint = state < 7 ? -1 : out[size - recent[0] - 1]; hint >= 0 && node < 0x100; ) {
        const told = (hint >> 7) & 1;
        const next = bit(literals, start + ((1 + told) << 8) + node);
        node = 2 * node + next;
        hint = next === told ? (hint << 1) & 0xff : -1;
      }
      while (node < 0x100) node = 2 * node + bit(literals, start + node);
      out[size++] = node;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    let count = 0;
    if (!bit(isRepeat, state)) {
      count = length(lengths[0]);
      recent.unshift(distance(count));
      recent.pop();
      if (recent[0] === 0xffffffff) return out.subarray(0, size);
      state = state < 7 ? 7 : 10;
    } else {
      let age = 0;
      if (bit(isOlder[0], state)) {
        age = 1;
        while (age < 3 && bit(isOlder[age], state)) age++;
        recent.unshift(...recent.splice(age, 1));
      }
      const isByte = age === 0 && !bit(isLong, state);
      count = isByte ? 1 : length(lengths[1]);
      state = (isByte ? 9 : 8) + (state < 7 ? 0 : isByte ? 2 : 3);
    }
    room(count);
    for (const end = size + count; size < end; size++) out[size] = out[size - recent[0] - 1];
  }
}

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

  /* How many numbers of each kind, of each kind all low and all high bytes, and the text with their places. */
  together(content) {
    const hundredths = (code) => (code / 100).toFixed(2);
    const write = [hundredths, hundredths, (code) => (code / 10).toFixed(1), (code) => String(code & 1 ? -(code >> 1) : code >> 1)];
    const head = content.indexOf(10);
    let start = head + 1;
    const kinds = new TextDecoder().decode(content.subarray(0, head)).split(" ").map((told) => {
      const count = Number(told);
      start += 2 * count;
      return { count, at: start - 2 * count, end: start - count };
    });
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(content.subarray(start)).replace(/[\x01-\x04]/g, (place) => {
      const kind = place.charCodeAt() - 1;
      const next = kinds[kind];
      if (next.at === next.end) return place;
      next.at += 1;
      return write[kind](content[next.at - 1] + 256 * content[next.at - 1 + next.count]);
    });
  },

  unpack(place) {
    const part = document.createElement("template");
    part.innerHTML = ltbench.together(unfold(ltbench.bytes(place.dataset.packed)));
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
  places.forEach(ltbench.unpack);
  const named = places.length && location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (named) named.scrollIntoView();
})();
