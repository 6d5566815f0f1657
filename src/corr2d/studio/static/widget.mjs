// The same page in a notebook: its kernel and options are the widget's.

import { checked } from "./kernel-text.mjs";
import { mount } from "./studio.mjs";
import { overWidget } from "./backend.mjs";
import { START, Store } from "./store.mjs";

/** @param {string} workerUrl */
export const widget = (workerUrl) => ({
  /** @param {{model: any, el: HTMLElement}} given */
  async render({ model, el }) {
    const root = document.createElement("div");
    root.className = "corr2d-studio embedded";
    el.append(root);
    const store = new Store({
      kernel: kernelOf(model.get("kernel")),
      options: { ...START.options, ...model.get("options") },
      language: navigator.language.startsWith("zh") ? "zh" : "en",
    });
    const down = await mount(root, { store, ask: overWidget(model), makeWorker: () => new Worker(workerUrl, { type: "module" }) });

    const stop = store.listen(({ kernel, options }, changed) => {
      // What came from Python is not sent back to it.
      if (changed.has("kernel") && !same(kernelOf(model.get("kernel")), kernel)) model.set("kernel", kernel);
      if (changed.has("options") && !same(model.get("options"), options)) model.set("options", options);
      model.save_changes();
    });
    const take = () => store.set({ kernel: kernelOf(model.get("kernel")) });
    const takeOptions = () => store.set({ options: { ...START.options, ...model.get("options") } });
    model.on("change:kernel", take);
    model.on("change:options", takeOptions);
    return () => {
      model.off("change:kernel", take);
      model.off("change:options", takeOptions);
      stop();
      down();
    };
  },
});

/** @param {any} record @returns {import("./correlate.mjs").Kernel} */
function kernelOf(record) {
  return { ...checked(record.weights), anchor: record.anchor ?? null, name: record.name ?? "" };
}

/** @param {any} a @param {any} b */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
