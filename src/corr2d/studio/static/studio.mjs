// The whole page, put together: one store, two pictures, and what is around them.

import { asApplied, correlate, geometry, padded, shape } from "./correlate.mjs";
import { Arithmetic } from "./arithmetic.mjs";
import { chapterPanel } from "./chapter.mjs";
import { Computer } from "./compute.mjs";
import { drawLegend, paint, paintColours } from "./colour.mjs";
import { describePanel, responsePanel } from "./knowledge-panels.mjs";
import { eachFrame, field, h, say, select } from "./dom.mjs";
import { enginePanel, exportPanel } from "./take-panels.mjs";
import { attachGestures } from "./gestures.mjs";
import { optionsOf } from "./chapter-steps.mjs";
import { kernelPanel } from "./kernel-panel.mjs";
import { learnPanel } from "./learn-panel.mjs";
import { madePictures, Pictures } from "./pictures.mjs";
import { optionsPanel } from "./options-panel.mjs";
import { setLanguage, t } from "./text.mjs";
import { short } from "./kernel-text.mjs";
import { View } from "./view.mjs";
import { Viewport } from "./viewport.mjs";

/**
 * @param {HTMLElement} root
 * @param {object} given
 * @param {import("./store.mjs").Store} given.store
 * @param {import("./backend.mjs").Ask} given.ask
 * @param {() => Worker} given.makeWorker
 * @param {((store: import("./store.mjs").Store) => string) | null} [given.addressOf]
 * @returns {Promise<() => void>} what takes it down again
 */
export async function mount(root, { store, ask, makeWorker, addressOf = null }) {
  const { record: hello } = await ask("hello");
  const pictures = new Pictures(ask);
  let down = () => {};
  const build = () => {
    down();
    setLanguage(store.state.language);
    down = page(root, { store, ask, makeWorker, addressOf, hello, pictures });
  };
  build();
  const stop = store.listen((state, changed) => {
    if (changed.has("language") && changed.size === 1) build();
  });
  return () => {
    stop();
    down();
  };
}

/** @param {HTMLElement} root @param {any} given */
function page(root, { store: whole, ask, makeWorker, addressOf, hello, pictures }) {
  // What is put up here stops listening when it is taken down.
  const stops = /** @type {(() => void)[]} */ ([]);
  const store = new Proxy(whole, {
    get: (target, key) => {
      if (key === "listen") return (/** @type {any} */ listener) => stops.push(target.listen(listener));
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => dark.matches;

  /** @type {import("./pictures.mjs").Picture | null} */ let picture = null;
  /** @type {import("./render.mjs").Output | null} */ let output = null;
  const viewport = new Viewport();

  const canvas = (/** @type {string} */ testid, /** @type {string} */ label) =>
    h("canvas", { testid, tabindex: "0", role: "application", "aria-roledescription": t("picture"), "aria-label": label });
  const inputCanvas = canvas("image-input", t("Input. Arrow keys choose the output that is explained, plus and minus zoom, Enter goes near, 0 shows all."));
  const outputCanvas = canvas("image-output", t("Output. Arrow keys choose the output that is explained, plus and minus zoom, Enter goes near, 0 shows all."));
  const [inputView, outputView] = [new View(inputCanvas, viewport), new View(outputCanvas, viewport)];
  const [inputFacts, outputFacts] = [h("span.hint"), h("span.hint", { testid: "output-facts" })];
  const legend = { strip: h("canvas", { "aria-hidden": "true" }), low: h("span"), middle: h("span"), high: h("span") };
  const failure = h("p.failure", { role: "alert" });
  const arithmetic = new Arithmetic();

  // -- computing -----------------------------------------------------------------------------------

  const inputScale = () => ({ signed: false, low: 0, high: picture?.white ?? 1, dark: isDark() });

  const computer = new Computer(makeWorker, ({ rendered, error }) => {
    say(failure, error ?? "");
    outputCanvas.classList.toggle("stale", Boolean(error));
    if (!rendered || !picture) return settle(computer.idle);
    output = rendered.output;
    showOutput(rendered);
    outputView.draw(painted);
  });

  /** The output comes first; what is said about it has time until the frame is out. */
  function painted() {
    setTimeout(() => {
      if (performance.getEntriesByName("corr2d:key").length) {
        // For whoever looks at the browser's performance entries: the frame has been laid out and painted.
        performance.measure("corr2d:key-to-paint", "corr2d:key");
        performance.clearMarks("corr2d:key");
      }
      if (!computer.idle) return; // the next output is on its way
      explain();
      settle(true);
    });
  }

  /** Does what is shown belong to the state of now? For tests, and for those who script the page. @param {boolean} settled */
  const settle = (settled) => (root.dataset.settled = String(settled));

  function compute() {
    if (!picture) return;
    settle(false);
    const { kernel, options, display } = store.state;
    computer.run({ picture, kernel, options, look: { display, white: picture.white, dark: isDark() } });
    showInput();
  }

  function showInput() {
    if (!picture) return;
    const { options, kernel, display } = store.state;
    let pads = { top: 0, bottom: 0, left: 0, right: 0 };
    try {
      pads = geometry(picture.plane, asApplied(kernel, options), options);
    } catch {
      // The output says that the kernel does not fit.
    }
    const { height, width } = picture.plane;
    viewport.setBox({ top: -pads.top, left: -pads.left, bottom: height + pads.bottom, right: width + pads.right });
    const key = JSON.stringify([picture.key, pads, options.boundary, options.fill, isDark(), display === "gray"]);
    if (key !== shownInput) {
      const plane = padded(picture.plane, pads, options);
      const scale = inputScale();
      const coloured = picture.channels && display !== "gray";
      const image = coloured ? paintColours(picture.channels.map((channel) => padded(channel, pads, options)), scale) : paint(plane, scale);
      inputView.show({ plane, image, scale, origin: [-pads.top, -pads.left], step: 1, inside: { height, width } });
    }
    shownInput = key;
    inputFacts.textContent = `${picture.height} × ${picture.width}${picture.step > 1 ? ` · ${t("shown as")} ${height} × ${width}` : ""}`;
  }
  let shownInput = "";

  /** @param {import("./render.mjs").Rendered} rendered */
  function showOutput({ output, scale, image }) {
    const { options, kernel } = store.state;
    const [kh, kw] = shape(kernel);
    // An output lies in the middle of its window; with "same" on the pixel that it replaces.
    const corner = (/** @type {number} */ before, /** @type {number} */ k) =>
      (options.padding === "same" ? 0 : -before + (options.dilation * (k - 1)) / 2) + (1 - options.stride) / 2;
    const origin = /** @type {[number, number]} */ ([corner(output.geometry.top, kh), corner(output.geometry.left, kw)]);
    outputView.show({ plane: output, image, scale, origin, step: options.stride, inside: null });
    drawLegend(legend.strip, scale);
    say(legend.low, short(Number(scale.low.toPrecision(3)), 7));
    say(legend.middle, scale.signed ? "0" : "");
    say(legend.high, short(Number(scale.high.toPrecision(3)), 7));
    const percent = 100 * scale.beyond;
    say(outputFacts, `${output.height} × ${output.width}${percent ? ` · ${percent < 0.1 ? "< 0.1" : percent.toFixed(1)} % ${t("beyond the scale")}` : ""}`);
  }

  function explain() {
    if (!picture || !output || outputCanvas.classList.contains("stale")) return;
    const { options, kernel } = store.state;
    const [y, x] = pixelNow(output);
    const window = arithmetic.show(picture.plane, kernel, options, [y, x], inputScale());
    const { top, left } = output.geometry;
    inputView.mark(window.taps.flat().map(({ row, column, weight }) => ({ row: row + top, column: column + left, weight })));
    outputView.mark([{ row: y, column: x }]);
    chapter.refresh();
  }

  /** @param {import("./correlate.mjs").Plane} plane @returns {[number, number]} */
  function pixelNow({ height, width }) {
    const [y, x] = store.state.pixel ?? [height >> 1, width >> 1];
    return [Math.min(y, height - 1), Math.min(x, width - 1)];
  }

  // -- choosing the output that is explained -------------------------------------------------------

  const choosePixel = eachFrame((/** @type {number} */ y, /** @type {number} */ x) => {
    if (!output) return;
    const inside = (/** @type {number} */ at, /** @type {number} */ n) => Math.min(n - 1, Math.max(0, Math.floor(at)));
    store.set({ pixel: [inside(y, output.height), inside(x, output.width)] });
  });
  const hover = (/** @type {View} */ view) => (/** @type {number} */ top, /** @type {number} */ left) => {
    if (!view.scene || !outputView.scene) return;
    const [y, x] = viewport.at(top, left);
    const { origin, step } = outputView.scene;
    choosePixel((y - origin[0]) / step, (x - origin[1]) / step);
  };
  const centre = () => {
    const [y, x] = pixelNow(/** @type {any} */ (output));
    const { origin, step } = /** @type {any} */ (outputView.scene);
    return /** @type {[number, number]} */ ([origin[0] + (y + 0.5) * step, origin[1] + (x + 0.5) * step]);
  };
  const move = (/** @type {number} */ dy, /** @type {number} */ dx) => {
    if (!output) return;
    const [y, x] = pixelNow(output);
    store.set({ pixel: [Math.min(output.height - 1, Math.max(0, y + dy)), Math.min(output.width - 1, Math.max(0, x + dx))] });
    viewport.show(...centre());
  };
  const near = () => output && viewport.show(...centre(), 56);
  attachGestures(inputCanvas, viewport, { hover: hover(inputView), move, near });
  attachGestures(outputCanvas, viewport, { hover: hover(outputView), move, near });

  // Before anything else hears of a change: the worker is at it while the page says the rest.
  store.listen((/** @type {unknown} */ _, /** @type {Set<string>} */ changed) => {
    if (!changed.has("picture") && ["kernel", "options", "display"].some((key) => changed.has(key))) compute();
  });

  // -- around it -----------------------------------------------------------------------------------

  const bench = {
    store,
    ask,
    pictures,
    picture: () => picture,
    output: () => output,
    address: addressOf && (() => addressOf(whole)),
    request: async () => {
      if (!picture) throw new Error(t("There is no picture yet."));
      const { kernel, options } = store.state;
      return { picture: await pictures.id(picture), kernel, options };
    },
  };
  const learn = learnPanel(bench);
  const chapter = chapterPanel({
    store,
    picture: () => picture,
    learn: async (step) => {
      const before = await pictures.get(step.picture);
      const after = correlate(before.plane, { weights: step.kernel }, optionsOf(step));
      const made = { height: after.height, width: after.width, data: after.data };
      const size = step.kernel.length + "x" + step.kernel[0].length;
      learn.prepare(pictures.local(before.name, before.plane, 1), pictures.local(t("output"), made, 1), size, { bias: false, rate: 0.03, steps: 20 });
    },
  });

  const menu = h("select", { testid: "picture", onchange: () => store.set({ picture: menu.value, pixel: null }) });
  const fillMenu = () => {
    const choices = [["0", hello.picture.name], ...pictures.uploads, ...madePictures().map(([key, name]) => [key, t(name)])];
    menu.replaceChildren(...choices.map(([value, word]) => h("option", { value }, word)));
    menu.value = store.state.picture;
  };
  const open = async (/** @type {Blob} */ file) => {
    try {
      const added = await pictures.upload(file);
      store.set({ picture: added.key, pixel: null });
      failure.textContent = "";
    } catch (error) {
      failure.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  const file = h("input", {
    type: "file",
    testid: "open",
    accept: "image/png,image/jpeg,image/tiff,.npy",
    onchange: () => {
      if (file.files[0]) open(file.files[0]);
      file.value = "";
    },
  });
  const display = select([["auto", t("automatic")], ["signed", t("signed")], ["gray", t("gray")]], {
    testid: "display",
    onchange: () => store.set({ display: display.value }),
  });
  const zoom = (/** @type {string} */ word, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick }, word);
  const tongue = select([["en", "English"], ["zh", "中文"]], {
    "aria-label": "Language · 语言",
    testid: "language",
    onchange: () => store.set({ language: tongue.value }),
  });
  tongue.value = store.state.language;

  const stage = h(
    "div.stage",
    {},
    chapter.element,
    h(
      "div.pictures",
      {},
      h(
        "figure",
        {},
        h("figcaption", {}, h("h2", {}, t("Input")), inputFacts),
        inputCanvas,
        h("div.row.under", {}, zoom("−", t("Zoom out"), () => viewport.zoom(1 / 1.5)), zoom("+", t("Zoom in"), () => viewport.zoom(1.5)), zoom(t("All"), t("Show the whole picture"), () => viewport.fit()), zoom(t("Numbers"), t("Go near enough to read the pixels"), near)),
      ),
      h(
        "figure",
        {},
        h("figcaption", {}, h("h2", {}, t("Output")), outputFacts),
        outputCanvas,
        failure,
        h("div.row.under.spread", {}, h("div.legend", { testid: "legend" }, legend.strip, h("div", {}, legend.low, legend.middle, legend.high)), field(t("Colours"), display)),
      ),
    ),
    arithmetic.element,
  );
  const cards = h(
    "div.cards",
    {},
    describePanel(store, ask),
    h("div.column", {}, responsePanel(store), enginePanel(bench)),
    learn.element,
    exportPanel(bench, hello.targets),
  );

  root.classList.add("corr2d-studio");
  root.lang = store.state.language === "zh" ? "zh-Hans" : "en";
  root.replaceChildren(
    h(
      "header",
      {},
      h("h1", {}, "corr2d studio"),
      h("div.row", {}, field(t("Picture"), menu), h("label.button", { tabindex: "-1" }, file, h("span", {}, t("Open…")))),
      h("div.row", {}, h("button", { type: "button", testid: "chapter-start", onclick: () => (store.state.step === null ? chapter.start() : store.set({ step: null })) }, t("Chapter")), tongue),
    ),
    h("div.bench", {}, h("div.side", {}, kernelPanel(store, hello.presets), optionsPanel(store)), stage, cards),
  );

  // -- reacting ------------------------------------------------------------------------------------

  store.listen(async (/** @type {import("./store.mjs").State} */ state, /** @type {Set<string>} */ changed) => {
    if (changed.has("picture")) {
      try {
        const loaded = await pictures.get(state.picture);
        if (whole.state.picture !== state.picture) return;
        picture = loaded;
      } catch (error) {
        failure.textContent = error instanceof Error ? error.message : String(error);
        if (state.picture !== "0") store.set({ picture: "0" });
        return;
      }
      fillMenu();
      viewport.fit();
      compute();
    }
    if (changed.has("display")) display.value = state.display;
    if (changed.has("pixel")) explain();
  });

  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
    if (event.target instanceof HTMLTextAreaElement) return;
    event.preventDefault();
    if (event.shiftKey) store.redo();
    else store.undo();
  };
  root.addEventListener("keydown", keys);
  const over = (/** @type {DragEvent} */ event) => event.preventDefault();
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped) open(dropped);
  };
  inputCanvas.addEventListener("dragover", over);
  inputCanvas.addEventListener("drop", drop);
  const repaint = () => {
    compute();
    explain();
  };
  dark.addEventListener("change", repaint);
  const sizes = new ResizeObserver(() => viewport.setSize(outputCanvas.clientHeight, outputCanvas.clientWidth));
  sizes.observe(outputCanvas);

  return () => {
    stops.forEach((stop) => stop());
    computer.close();
    sizes.disconnect();
    dark.removeEventListener("change", repaint);
    root.removeEventListener("keydown", keys);
  };
}
