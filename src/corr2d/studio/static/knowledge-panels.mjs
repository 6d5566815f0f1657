// What can be said about the kernel: its description in words, and its frequency response.

import { paint } from "./colour.mjs";
import { lineChart } from "./chart.mjs";
import { AFTER_OUTPUT, afterPause, h, soon } from "./dom.mjs";
import { response } from "./response.mjs";
import { short } from "./kernel-text.mjs";
import { t } from "./text.mjs";

/** @param {import("./store.mjs").Store} store @param {import("./backend.mjs").Ask} ask */
export function describePanel(store, ask) {
  const text = h("div.describe", { testid: "describe", "aria-live": "polite" });
  let asked = 0;
  const describe = afterPause(120, async () => {
    const mine = ++asked;
    try {
      const { record } = await ask("describe", { kernel: store.state.kernel });
      if (mine === asked) text.replaceChildren(...described(record.text));
    } catch (error) {
      if (mine === asked) text.textContent = error instanceof Error ? error.message : String(error);
    }
  });
  store.listen((_, changed) => {
    if (changed.has("kernel")) describe();
  });
  return h("section.card", { "aria-label": t("In words") }, h("h2", {}, t("In words")), text);
}

/** Sentences as paragraphs, and the lines of label and value as a table. @param {string} text */
function described(text) {
  const lines = text.split("\n").map((line) => /^(\S.*?) {2,}(.+)$/.exec(line) ?? line);
  const sentences = lines.filter((line) => typeof line === "string" && line);
  const rows = lines.filter((line) => typeof line !== "string");
  return [
    ...sentences.map((line, i) => h(i ? "p" : "p.lead", {}, line)),
    h("table", {}, h("tbody", {}, ...rows.map(([, label, value]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, value))))),
  ];
}

/** @param {import("./store.mjs").Store} store */
export function responsePanel(store) {
  const canvas = h("canvas", { role: "img", testid: "response" });
  const profile = h("div.profile");
  const range = h("p.hint");
  const draw = soon(AFTER_OUTPUT, (/** @type {import("./correlate.mjs").Kernel} */ kernel) => {
    const plane = response(kernel.weights);
    const n = plane.height;
    const most = plane.data.reduce((top, value) => Math.max(top, value), 0);
    canvas.width = canvas.height = n;
    canvas.getContext("2d").putImageData(paint(plane, { signed: false, low: 0, high: most || 1, dark: false }), 0, 0);
    const middle = (n - 1) / 2;
    const along = (/** @type {(i: number) => number} */ at) =>
      Array.from({ length: middle + 1 }, (_, i) => /** @type {[number, number]} */ ([i / (n - 1), plane.data[at(i)]]));
    const words = `${t("Gain at zero frequency")}: ${short(plane.data[middle * n + middle], 6)}. ${t("Largest")}: ${short(most, 6)}.`;
    canvas.setAttribute("aria-label", `${t("Frequency response, dark is zero")}. ${words}`);
    range.textContent = words;
    profile.replaceChildren(
      lineChart({
        lines: [
          { name: "x", points: along((i) => middle * n + middle + i) },
          { name: "y", points: along((i) => (middle + i) * n + middle), dashed: true },
        ],
        x: [0, 0.5],
        xName: t("periods per pixel"),
        label: `${t("Gain along x and y")}. ${words}`,
      }),
    );
  });
  store.listen(({ kernel }, changed) => {
    if (changed.has("kernel")) draw(kernel);
  });
  return h(
    "section.card",
    { "aria-label": t("Frequency response") },
    h("h2", {}, t("Frequency response")),
    h("div.row.response", {}, h("div.square", {}, canvas), h("div", {}, profile, h("p.key", {}, h("span.line-0", {}, "x"), h("span.line-1", {}, "y")))),
    range,
  );
}
