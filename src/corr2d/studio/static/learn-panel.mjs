// Before and after are there, the kernel is not: found at once by least squares, or step by step by descent.

import { correlate } from "./correlate.mjs";
import { descentPanel } from "./descent-panel.mjs";
import { field, h, select } from "./dom.mjs";
import { generator } from "./descent.mjs";
import { short } from "./kernel-text.mjs";
import { paint } from "./colour.mjs";
import { t } from "./text.mjs";

/**
 * @typedef {import("./pictures.mjs").Picture} Picture
 * @typedef {{before: Picture | null, after: Picture | null, hidden: import("./correlate.mjs").Kernel | null}} Pair
 */

const GAME = { padding: "same", boundary: "reflect", fill: 0, stride: 1, dilation: 1, convolve: false };

/** @param {import("./take-panels.mjs").Bench & {pictures: import("./pictures.mjs").Pictures, picture: () => Picture | null}} bench */
export function learnPanel(bench) {
  const { store, pictures, ask } = bench;
  /** @type {Pair} */
  const pair = { before: null, after: null, hidden: null };
  const result = h("div.result", { testid: "learn-result", "aria-live": "polite" });
  const thumbnails = { before: h("canvas.thumbnail", { role: "img", hidden: true }), after: h("canvas.thumbnail", { role: "img", hidden: true }) };
  const names = { before: h("span.hint"), after: h("span.hint") };
  const guess = h("p.hint", { testid: "game-score", "aria-live": "polite" });
  const fail = (/** @type {unknown} */ error) =>
    result.replaceChildren(h("p.error", { role: "alert" }, error instanceof Error ? error.message : String(error)));

  /** @type {Promise<unknown>} the uploads that a click on "find" has to wait for */
  let loading = Promise.resolve([]);
  const descent = descentPanel({ store, pair });

  const choose = (/** @type {"before" | "after"} */ side, /** @type {string} */ word) =>
    h(
      "div.side",
      {},
      h("label.field", {}, h("span", {}, word), h("input", {
        type: "file",
        testid: `learn-${side}`,
        accept: "image/png,image/jpeg,image/tiff,.npy",
        onchange: (/** @type {any} */ event) => {
          const [file] = event.target.files;
          if (!file) return;
          loading = Promise.all([loading, pictures.upload(file).then((picture) => put(side, picture), fail)]);
        },
      })),
      thumbnails[side],
      names[side],
    );

  /** @param {"before" | "after"} side @param {Picture} picture @param {import("./correlate.mjs").Kernel | null} [hidden] */
  function put(side, picture, hidden = null) {
    pair[side] = picture;
    pair.hidden = hidden;
    names[side].textContent = `${picture.name}, ${picture.height} × ${picture.width}`;
    thumbnails[side].hidden = false;
    thumbnail(thumbnails[side], picture);
    thumbnails[side].setAttribute("aria-label", `${picture.name}, ${picture.height} × ${picture.width}`);
    result.replaceChildren();
    guess.textContent = "";
    descent.reset();
    score();
  }

  function fromAbove() {
    const [picture, output] = [bench.picture(), bench.output()];
    if (!picture || !output) return;
    if (store.state.options.stride !== 1 || store.state.options.dilation !== 1) {
      return fail(new Error(t("Set stride and dilation to 1 first: learning looks for a kernel without them.")));
    }
    put("before", pictures.local(picture.name, picture.plane, picture.white));
    put("after", pictures.local(t("output"), { height: output.height, width: output.width, data: output.data }, picture.white));
  }

  function hide() {
    const picture = bench.picture();
    if (!picture) return;
    const random = generator(Math.floor(Math.random() * 2 ** 32));
    const weights = Array.from({ length: 3 }, () => Array.from({ length: 3 }, () => Math.round(4 * random() - 2)));
    if (weights.flat().every((weight) => !weight)) weights[1][1] = 1;
    const hidden = { weights, anchor: null, name: "" };
    const options = /** @type {import("./correlate.mjs").Options} */ (GAME);
    const { height, width, data } = correlate(picture.plane, hidden, options);
    put("before", pictures.local(picture.name, picture.plane, picture.white));
    put("after", pictures.local(t("through a hidden kernel"), { height, width, data }, picture.white), hidden);
  }

  /** How far the kernel in the editor is from the hidden one, seen on the pictures. */
  function score() {
    if (!pair.hidden || !pair.before || !pair.after) return;
    const mine = correlate(pair.before.plane, store.state.kernel, /** @type {import("./correlate.mjs").Options} */ (GAME));
    let squares = 0;
    pair.after.plane.data.forEach((value, i) => (squares += (value - mine.data[i]) ** 2));
    const rms = Math.sqrt(squares / mine.data.length);
    guess.textContent = rms < 1e-9 * pair.before.white
      ? t("Found: your kernel makes the very same picture.")
      : `${t("A hidden 3 × 3 kernel with weights from −2 to 2. Yours is off by")} ${short(Number(rms.toPrecision(3)), 6)} (rms).`;
  }
  store.listen((_, changed) => {
    if (changed.has("kernel") && pair.hidden) score();
  });

  const sizes = [["auto", t("found by itself")], ...["1x2", "2x1", "2x2", "3x3", "5x5", "7x7", "9x9", "11x11", "15x15"].map((s) => [s, s.replace("x", " × ")])];
  const size = select(/** @type {[string, string][]} */ (sizes), { testid: "learn-size", onchange: () => descent.reset() });
  const bias = h("input", { type: "checkbox", checked: true, testid: "learn-bias", onchange: () => descent.reset() });
  descent.settings = () => ({
    size: size.value === "auto" ? [3, 3] : size.value.split("x").map(Number),
    bias: bias.checked,
  });

  const run = h("button.primary", {
    type: "button",
    testid: "learn-run",
    onclick: async () => {
      run.disabled = true;
      await loading;
      try {
        if (!pair.before || !pair.after) throw new Error(t("Choose a picture before and one after, or use the two above."));
        const [before, after] = [await pictures.id(pair.before), await pictures.id(pair.after)];
        const shape = size.value === "auto" ? "auto" : size.value.split("x").map(Number);
        const { record } = await ask("learn", { before, after, size: shape, bias: bias.checked });
        result.replaceChildren(...answer(record, (kernel) => store.set({ kernel })));
        descent.closedForm(record.kernel.weights);
      } catch (error) {
        fail(error);
      }
      run.disabled = false;
    },
  }, t("Find the kernel at once"));

  const element = h(
    "section.card.learn",
    { "aria-label": t("Learn"), id: "learn" },
    h("h2", {}, t("Learn")),
    h("p.hint", {}, t("One picture before and one after: which kernel was it?")),
    h("div.tools", {}, h("button", { type: "button", onclick: fromAbove, testid: "learn-above" }, t("Use the two pictures above")), h("button", { type: "button", onclick: hide, testid: "learn-game" }, t("Game: hide a kernel"))),
    guess,
    h("div.pair", {}, choose("before", t("Before")), choose("after", t("After"))),
    h("div.row", {}, field(t("Size"), size), h("label.check", {}, bias, h("span", {}, t("with a constant added")))),
    h("div.learning", {}, h("div", {}, h("h3", {}, t("Least squares")), run, result), descent.element),
  );
  return {
    element,
    /** What a step of the chapter needs. @param {Picture} before @param {Picture} after @param {string} shape @param {{bias: boolean, rate: number, steps: number}} given */
    prepare(before, after, shape, given) {
      size.value = shape;
      bias.checked = given.bias;
      put("before", before);
      put("after", after);
      descent.prepare(given.rate, given.steps);
    },
  };
}

/** What the verdicts mean. */
const VERDICTS = /** @type {Record<string, string>} */ ({
  "lsi-exact": "One kernel explains every pixel.",
  "lsi-rounded": "One kernel explains every pixel, up to the rounding to whole numbers.",
  "lsi+noise": "One kernel, and noise that it does not explain.",
  "lsi+clipping": "One kernel, and values that were cut off at black or white.",
  "static-nonlinear": "A kernel, and a curve on the brightness.",
  "spatially-varying": "Not one kernel: it changes from place to place.",
  "local-nonlinear": "Not a kernel: something that looks at its neighbours, but not by a sum.",
  "jpeg-grid": "Changed by JPEG, in blocks of 8 × 8.",
  "not-identifiable": "These pictures do not tell: other kernels would explain them as well.",
  misaligned: "The pictures do not lie on each other.",
});

/** @param {any} record @param {(kernel: any) => void} take */
function answer(record, take) {
  const most = Math.max(...record.kernel.weights.flat().map(Math.abs));
  const weights = record.kernel.weights.map((/** @type {number[]} */ line) => line.map((weight) => tidy(weight, most)));
  const table = h(
    "table.weights",
    { "aria-label": t("Learnt kernel and standard errors") },
    h("tbody", {}, ...weights.map((/** @type {number[]} */ line, /** @type {number} */ i) =>
      h("tr", {}, ...line.map((weight, j) => h("td", {}, h("b", {}, short(weight, 8)), h("span", {}, `± ${spread(record.stderr[i]?.[j])}`))))),
    ),
  );
  return [
    h("p.lead", {}, h("strong", {}, record.verdict), record.name ? ` · ${record.name}` : ""),
    h("p", {}, t(VERDICTS[record.verdict] ?? "")),
    h("ul.reasons", {}, ...record.reasons.map((/** @type {string} */ reason) => h("li", {}, reason))),
    h("div.scroll", {}, table),
    h("p.hint", {}, `${t("constant")} ${short(tidy(record.bias ?? NaN, most), 8)} · rms ${short(Number((record.rms ?? NaN).toPrecision(3)), 8)} · ${short(Number((1e3 * record.seconds).toPrecision(3)), 6)} ms`),
    h("button", { type: "button", testid: "learn-take", onclick: () => take({ weights, anchor: record.kernel.anchor ?? null, name: "" }) }, t("Put it into the editor")),
  ];
}

/** Twelve digits of the largest weight: the rest is rounding. @param {number} value @param {number} most */
const tidy = (value, most) => (Math.abs(value) < 1e-12 * most ? 0 : Number(value.toPrecision(12)));

/** @param {number | null | undefined} value */
const spread = (value) => (value === null || value === undefined ? "?" : short(Number(value.toPrecision(2)), 7));

/** @param {HTMLCanvasElement} canvas @param {Picture} picture */
function thumbnail(canvas, { plane, white }) {
  canvas.width = plane.width;
  canvas.height = plane.height;
  const low = plane.data.reduce((least, value) => Math.min(least, value), 0);
  const limit = plane.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  const scale = low < 0 ? { signed: true, low: -limit, high: limit, dark: false } : { signed: false, low: 0, high: white, dark: false };
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(paint(plane, scale), 0, 0);
}
