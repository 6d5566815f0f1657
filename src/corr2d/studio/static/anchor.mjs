// The tap that lies on the output pixel: where it is, and how it is moved.

import { shape } from "./correlate.mjs";
import { h, put } from "./dom.mjs";
import { t } from "./text.mjs";

/** The anchor of a kernel that names none: corr2d's and PyTorch's. @param {[number, number]} shape @returns {[number, number]} */
export const defaultAnchor = ([rows, columns]) => [(rows - 1) >> 1, (columns - 1) >> 1];

/** @param {import("./correlate.mjs").Kernel} kernel */
export const anchorOf = (kernel) => kernel.anchor ?? defaultAnchor(shape(kernel));

/**
 * Row and column of the anchor, and the way back to the default. Only "same" takes one, as in Python.
 * @param {import("./store.mjs").Store} store
 */
export function anchorField(store) {
  const choice = (/** @type {0 | 1} */ axis, /** @type {string} */ word, /** @type {string} */ testid) => {
    const menu = h("select", {
      testid,
      "aria-label": word,
      onchange: () => {
        const anchor = /** @type {[number, number]} */ ([...anchorOf(store.state.kernel)]);
        anchor[axis] = Number(menu.value);
        store.set({ kernel: { ...store.state.kernel, anchor } });
      },
    });
    return menu;
  };
  const menus = [choice(0, t("Anchor: row"), "anchor-row"), choice(1, t("Anchor: column"), "anchor-column")];
  const back = h("button", {
    type: "button",
    testid: "anchor-default",
    title: t("The anchor of a kernel that names none: the middle, or just before it"),
    onclick: () => store.set({ kernel: { ...store.state.kernel, anchor: null } }),
  }, t("Default"));
  const element = h("div.field", { role: "group", "aria-label": t("Anchor") }, h("span", {}, t("Anchor")), h("div.row", {}, ...menus, back));

  store.listen(({ kernel, options }, changed) => {
    if (!changed.has("kernel") && !changed.has("options")) return;
    const here = anchorOf(kernel);
    shape(kernel).forEach((taps, axis) => {
      const menu = menus[axis];
      if (menu.options.length !== taps) menu.replaceChildren(...Array.from({ length: taps }, (_, at) => h("option", { value: at }, String(at))));
      put(menu, String(here[axis]));
      menu.disabled = options.padding !== "same";
    });
    back.disabled = options.padding !== "same" || !kernel.anchor;
    element.classList.toggle("off", options.padding !== "same");
  });
  return element;
}
