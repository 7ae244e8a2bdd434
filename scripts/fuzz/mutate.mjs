// Damage to files, the same for the same seed.

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = (random, list) => list[Math.floor(random() * list.length)];

const WORDS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** A place in a file, mostly near its beginning or end, where headers are. */
function place(random, length) {
  const kind = random();
  if (kind < 0.4) return Math.floor(random() * Math.min(length, 512));
  if (kind < 0.6) return Math.max(0, length - 1 - Math.floor(random() * Math.min(length, 2048)));
  return Math.floor(random() * length);
}

const DAMAGES = [
  (bytes, at, random) => {
    bytes[at] ^= 1 << Math.floor(random() * 8);
    return bytes;
  },
  (bytes, at, random) => {
    bytes[at] = pick(random, WORDS) & 0xff;
    return bytes;
  },
  (bytes, at, random) => {
    if (at + 4 <= bytes.length) bytes[random() < 0.5 ? 'writeUInt32BE' : 'writeUInt32LE'](pick(random, WORDS), at);
    return bytes;
  },
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at, random) => {
    const end = Math.min(bytes.length, at + 1 + Math.floor(random() * 64));
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  },
  (bytes, at, random) => {
    const part = bytes.subarray(at, at + 1 + Math.floor(random() * 64));
    return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
  },
];

/** The bytes with one to eight damages. */
export function damaged(whole, random) {
  let bytes = Buffer.from(whole);
  for (let times = 1 + Math.floor(random() * 8); times > 0 && bytes.length > 0; times--) {
    bytes = Buffer.from(pick(random, DAMAGES)(bytes, place(random, bytes.length), random));
  }
  return bytes;
}

const VALUES = [
  ...[
    null,
    true,
    0,
    -1,
    0.5,
    1e308,
    2 ** 53,
    '',
    '..',
    '../../../etc/passwd',
    '/',
    'a'.repeat(5000),
    '\0',
    '__proto__',
  ],
  ...[[], {}, [null], { length: 1 }, [[[[]]]]],
];

/** A JSON text in which values are replaced or left out, or whose bytes are damaged. */
export function damagedJson(text, random) {
  if (random() < 0.2) return damaged(Buffer.from(text), random);
  let value = JSON.parse(text);
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--) value = changed(value, random);
  return Buffer.from(JSON.stringify(value));
}

function changed(value, random) {
  const inside = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (inside.length === 0 || random() < 0.15) return pick(random, VALUES);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const key = pick(random, inside);
  if (random() < 0.1) delete copy[key];
  else copy[key] = changed(copy[key], random);
  return copy;
}
