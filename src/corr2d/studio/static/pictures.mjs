// The pictures a page can work on: the one it was opened with, uploads, and a few made on the spot.

import { toNpy } from "./npy.mjs";

/**
 * @typedef {object} Picture
 * @property {string} key
 * @property {string} name
 * @property {import("./correlate.mjs").Plane} plane  gray values; block means where step > 1
 * @property {import("./correlate.mjs").Plane[] | null} channels  red, green and blue, where it has them
 * @property {number} white  the value that is shown white
 * @property {number} height @property {number} width  of the whole picture
 * @property {number} step  its pixels for one of the plane's
 * @property {string} [id]  what the server calls it
 */

/** @param {number} height @param {number} width @param {(y: number, x: number) => number} value */
export function plane(height, width, value) {
  const data = new Float64Array(height * width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data[y * width + x] = value(y, x);
  return { height, width, data };
}

const SIDE = 256;
const bar = (/** @type {number} */ x) => (x >= 2 && x < 6 ? 0 : 1);

/** @type {Record<string, {name: string, white: number, make: () => import("./correlate.mjs").Plane}>} */
const MADE = {
  count: { name: "0 … 8", white: 8, make: () => plane(3, 3, (y, x) => 3 * y + x) },
  edge: { name: "edges, 6 × 8", white: 1, make: () => plane(6, 8, (_, x) => bar(x)) },
  "edge-turned": { name: "edges transposed, 8 × 6", white: 1, make: () => plane(8, 6, (y) => bar(y)) },
  diagonal: { name: "diagonal, 8 × 8", white: 1, make: () => plane(8, 8, (y, x) => Number(y === x)) },
  parabola: { name: "x², 9 × 17", white: 64, make: () => plane(9, 17, (_, x) => (x - 8) ** 2) },
  point: { name: "one point, 15 × 15", white: 1, make: () => plane(15, 15, (y, x) => Number(y === 7 && x === 7)) },
  rings: {
    name: "rings of rising frequency",
    white: 255,
    make: () => plane(SIDE, SIDE, (y, x) => 127.5 + 127.5 * Math.cos((Math.PI * ((y - SIDE / 2) ** 2 + (x - SIDE / 2) ** 2)) / SIDE)),
  },
};

/** Names for a menu: key and words. @returns {[string, string][]} */
export const madePictures = () => Object.entries(MADE).map(([key, { name }]) => [`made:${key}`, name]);

/** Can another page show it, too? @param {string} key */
export const isShared = (key) => key === "0" || (key.startsWith("made:") && key.slice(5) in MADE);

export class Pictures {
  /** @type {Map<string, Picture>} */ #kept = new Map();

  /** @param {import("./backend.mjs").Ask} ask */
  constructor(ask) {
    this.ask = ask;
  }

  /** Uploads, for the menu. @returns {[string, string][]} */
  get uploads() {
    return [...this.#kept.values()].filter(({ key }) => /^[1-9]/.test(key)).map(({ key, name }) => [key, name]);
  }

  /** @param {string} key @returns {Promise<Picture>} */
  async get(key) {
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const made = MADE[key.replace(/^made:/, "")];
    if (made) {
      const content = made.make();
      return this.#keep({ key, name: made.name, white: made.white, plane: content, channels: null, height: content.height, width: content.width, step: 1 });
    }
    return this.#fetch(key);
  }

  /** Send a file and get it back as a picture. @param {Blob & {name?: string}} file */
  async upload(file) {
    const { record } = await this.ask("upload", { name: file.name ?? "picture" }, file);
    return this.#fetch(record.id);
  }

  /** A picture from a plane of the page. @param {string} name @param {import("./correlate.mjs").Plane} content @param {number} white @returns {Picture} */
  local(name, content, white) {
    return { key: "", name, white, plane: content, channels: null, height: content.height, width: content.width, step: 1 };
  }

  /** The server's name for a picture, sent to it where it was made here. @param {Picture} picture */
  async id(picture) {
    if (picture.id === undefined) {
      const { height, width, data } = picture.plane;
      const { record } = await this.ask("upload", { name: picture.name }, toNpy({ height, width, data }));
      picture.id = record.id;
    }
    return /** @type {string} */ (picture.id);
  }

  /** @param {string} id */
  async #fetch(id) {
    const { record, data } = await this.ask("preview", { picture: id });
    const values = new Float64Array(data);
    const area = record.rows * record.columns;
    const [content, ...colours] = Array.from({ length: values.length / area }, (_, i) => ({
      height: record.rows,
      width: record.columns,
      data: values.slice(i * area, (i + 1) * area),
    }));
    // Floats know no white: 1 where they keep to it, else their largest value.
    let white = record.white;
    if (/float|bool/.test(record.dtype)) {
      const most = content.data.reduce((top, value) => (value > top && Number.isFinite(value) ? value : top), 0);
      if (most > 1) white = most;
    }
    const { name, height, width, step } = record;
    const channels = colours.length ? colours : null;
    return this.#keep({ key: record.id, id: record.id, name, white, plane: content, channels, height, width, step });
  }

  /** @param {Picture} picture */
  #keep(picture) {
    this.#kept.set(picture.key, picture);
    return picture;
  }
}
