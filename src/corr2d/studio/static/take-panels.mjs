// What is taken along: the result of the engine, files, other tools' syntax, a link.

import { afterPause, field, h, put, save, select } from "./dom.mjs";
import { short } from "./kernel-text.mjs";
import { toLink } from "./link.mjs";
import { t } from "./text.mjs";

/** @typedef {{store: import("./store.mjs").Store, ask: import("./backend.mjs").Ask, request: () => Promise<any>, output: () => any, address: (() => string) | null}} Bench */

const SUFFIX = /** @type {Record<string, string>} */ ({
  numpy: "py", scipy: "py", opencv: "py", pytorch: "py", onnx: "onnx", imagemagick: "sh", ffmpeg: "sh", gegl: "sh", vips: "mat",
  svg: "svg", glsl: "glsl", wgsl: "wgsl", matlab: "m", gmic: "sh", c: "h", json: "json",
});

/** @param {Bench} bench */
export function enginePanel({ ask, request, output }) {
  const result = h("div.result", { testid: "engine-result", "aria-live": "polite" });
  const run = h("button.primary", {
    type: "button",
    testid: "engine-run",
    onclick: async () => {
      run.disabled = true;
      try {
        const asked = await request();
        const { record, data } = await ask("apply", asked);
        result.replaceChildren(
          h("p.lead", {}, h("strong", {}, `${milliseconds(record.seconds)}`), ` · ${record.method}, ${record.engine} · ${record.shape.join(" × ")} · ${t("predicted")} ${milliseconds(record.predicted)}`),
          h("p.hint", {}, `${t("Values from")} ${short(record.low ?? NaN, 8)} ${t("to")} ${short(record.high ?? NaN, 8)}. ${compared(data, output())}`),
          h("pre", { tabindex: "0" }, record.plan),
        );
      } catch (error) {
        result.replaceChildren(h("p.error", { role: "alert" }, error instanceof Error ? error.message : String(error)));
      }
      run.disabled = false;
    },
  }, t("Run on the engine"));
  return h(
    "section.card.engine",
    { "aria-label": t("Full resolution") },
    h("h2", {}, t("Full resolution")),
    h("p.hint", {}, t("The pictures above are computed in this page, at most 512 × 512 pixels; what is explained is gray values. The engine filters the whole picture, all channels.")),
    run,
    result,
  );
}

/** @param {number} seconds */
const milliseconds = (seconds) => `${short(Number((seconds * 1e3).toPrecision(3)), 6)} ms`;

/** How far the page and the engine are apart, where both filtered the same pixels. @param {ArrayBuffer} data @param {any} output */
function compared(data, output) {
  const engine = new Float64Array(data);
  if (!output || !engine.length || engine.length !== output.data.length) return "";
  let most = 0;
  engine.forEach((value, i) => (most = Math.max(most, Math.abs(value - output.data[i]))));
  return `${t("Largest difference to this page")}: ${short(Number(most.toPrecision(2)), 8)}.`;
}

/** @param {Bench} bench @param {string[]} targets */
export function exportPanel({ store, ask, request, address }, targets) {
  const text = h("pre", { testid: "export-text", tabindex: "0" });
  const warnings = h("ul.warnings", { testid: "export-warnings" });
  const exact = h("p.hint");
  const target = select(targets.map((name) => [name, name]), {
    testid: "export-target",
    onchange: () => store.set({ target: target.value }),
  });
  let asked = 0;
  /** @type {string | ArrayBuffer} */ let content = "";
  const update = afterPause(120, async () => {
    const mine = ++asked;
    try {
      const { kernel, options, target: wanted } = store.state;
      const { record, data } = await ask("export", { kernel, options, target: wanted });
      if (mine !== asked) return;
      content = data.byteLength ? data : record.text;
      text.textContent = record.text;
      exact.textContent = record.exact ? t("Exact: the tool computes what corr2d computes.") : t("Not exact, because:");
      warnings.replaceChildren(...record.warnings.map((/** @type {string} */ warning) => h("li", {}, warning)));
    } catch (error) {
      if (mine !== asked) return;
      text.textContent = "";
      exact.textContent = error instanceof Error ? error.message : String(error);
      warnings.replaceChildren();
    }
  });
  store.listen(({ target: chosen }, changed) => {
    put(target, chosen);
    if (["kernel", "options", "target"].some((key) => changed.has(key))) update();
  });

  const said = h("p.hint", { "aria-live": "polite" });
  const copy = (/** @type {() => string} */ content, /** @type {string} */ done) => async () => {
    try {
      await navigator.clipboard.writeText(content());
      said.textContent = done;
    } catch {
      said.textContent = t("The browser does not let this page use the clipboard; select the text and copy it.");
    }
  };
  const download = (/** @type {string} */ format, /** @type {string} */ word) =>
    h("button", {
      type: "button",
      testid: `download-${format}`,
      onclick: async () => {
        try {
          const { record, data } = await ask("download", { ...(await request()), format });
          save(record.name, new Blob([data]));
          said.textContent = record.note ?? "";
        } catch (error) {
          said.textContent = error instanceof Error ? error.message : String(error);
        }
      },
    }, word);

  return h(
    "section.card.export",
    { "aria-label": t("Take along") },
    h("h2", {}, t("Take along")),
    h(
      "div.tools",
      {},
      download("png", t("Output as PNG")),
      download("tif", t("Output as 16-bit TIFF")),
      download("json", t("Kernel as JSON")),
      address && h("button", { type: "button", testid: "share", onclick: copy(address, t("The link is copied.")) }, t("Copy a link to this page")),
    ),
    said,
    h("div.row.spread", {}, field(t("For another tool"), target), h(
      "div.row",
      {},
      h("button", { type: "button", onclick: copy(() => text.textContent, t("The text is copied.")) }, t("Copy")),
      h("button", { type: "button", testid: "export-save", onclick: () => save(`kernel.${SUFFIX[store.state.target] ?? "txt"}`, new Blob([content])) }, t("Save")),
    )),
    text,
    exact,
    warnings,
  );
}

/** The page's address with its state. @param {import("./store.mjs").Store} store */
export const addressOf = (store) => `${location.origin}${location.pathname}#${toLink(store.state)}`;
