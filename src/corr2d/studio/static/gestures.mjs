// Mouse, touch and keys on both canvases: zoom, pan, and which output is explained.

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./viewport.mjs").Viewport} viewport
 * @param {{hover: (top: number, left: number) => void, move: (dy: number, dx: number) => void, near: () => void}} on
 */
export function attachGestures(canvas, viewport, on) {
  /** @type {Map<number, [number, number]>} */
  const pointers = new Map();

  /** @param {PointerEvent | WheelEvent} event @returns {[number, number]} */
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientY - box.top, event.clientX - box.left];
  };
  const fromMiddle = (/** @type {[number, number]} */ [top, left]) => [top - canvas.clientHeight / 2, left - canvas.clientWidth / 2];

  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    on.hover(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) return on.hover(...here);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const distance = (/** @type {[number, number]} */ at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      const middle = /** @type {[number, number]} */ ([(here[0] + other[0]) / 2, (here[1] + other[1]) / 2]);
      const [dy, dx] = fromMiddle(middle);
      viewport.zoom(distance(here) / distance(before), dy, dx);
      viewport.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
    } else if (viewport.isFitted) on.hover(...here);
    else viewport.pan(here[0] - before[0], here[1] - before[1]);
    pointers.set(event.pointerId, here);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("dblclick", (event) => {
    const [dy, dx] = fromMiddle(place(event));
    viewport.zoom(event.shiftKey ? 1 / 4 : 4, dy, dx);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const [dy, dx] = fromMiddle(place(event));
      viewport.zoom(Math.exp(-Math.max(-150, Math.min(150, event.deltaY)) / 300), dy, dx);
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowUp: () => on.move(-far, 0),
      ArrowDown: () => on.move(far, 0),
      ArrowLeft: () => on.move(0, -far),
      ArrowRight: () => on.move(0, far),
      "+": () => viewport.zoom(1.5),
      "=": () => viewport.zoom(1.5),
      "-": () => viewport.zoom(1 / 1.5),
      0: () => viewport.fit(),
      Enter: () => on.near(),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  // A finger scrolls the page while the whole picture is seen, and the picture once it is not.
  viewport.listen(() => {
    canvas.style.touchAction = viewport.isFitted ? "pan-y" : "none";
  });
}
