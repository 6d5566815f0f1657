"""The studio in a real browser: learning, taking along, the chapter, everyone's access, the notebook."""

import json
import re

import numpy as np
import pytest

import corr2d
from corr2d import images, kernels
from studio_page import canvas, cell, chromium, page, said_sum, set_weights, settled, studio, url, weights  # noqa: F401

CAMERAMAN = images.sample().pixels
RNG = np.random.default_rng(4)


# -- learning ----------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """A picture, and what a known kernel made of it, as files."""
    kernel = np.array([[0, 1, 0], [2, -3, 0], [0, 0.5, 1]])
    before = RNG.integers(0, 256, (60, 70), np.uint8)
    images.write(tmp_path / "before.png", before)
    np.save(tmp_path / "after.npy", corr2d.corr2d(before, kernel, padding="same", boundary="reflect"))
    return tmp_path / "before.png", tmp_path / "after.npy", kernel


def test_a_kernel_is_found_from_two_files(studio, pair):
    """Verdict, weights and error bars; the kernel goes into the editor."""
    before, after, kernel = pair
    studio.get_by_test_id("learn-before").set_input_files(before)
    studio.get_by_test_id("learn-after").set_input_files(after)
    studio.get_by_test_id("learn-run").click()
    result = studio.get_by_test_id("learn-result")
    result.locator("table").wait_for()
    assert "lsi-exact" in result.inner_text()
    assert "±" in result.inner_text()
    studio.get_by_test_id("learn-take").click()
    np.testing.assert_allclose(weights(studio), kernel, atol=1e-5)


def test_descent_takes_the_chapters_steps(chromium, url):
    """Step by step the weights and losses of gradient descent in NumPy, at the chapter's rate."""
    with page(chromium, f"{url}#step=6") as tab:
        step = tab.get_by_test_id("descent-step")
        tab.wait_for_timeout(200)
        assert tab.get_by_test_id("descent-rate").input_value() == "0.03"
        start, losses, end = tab.evaluate(
            """async () => {
              const { Descent, statistics, largestRate } = await import("/descent.mjs");
              const { plane } = await import("/pictures.mjs");
              const edge = plane(6, 8, (_, x) => (x >= 2 && x < 6 ? 0 : 1));
              const after = plane(6, 7, (_, x) => (x === 1 ? 1 : x === 5 ? -1 : 0));
              const found = statistics(edge, after, 1, 2, false, 1);
              const descent = new Descent(found, 0.03, 3);
              const start = descent.kernel;
              descent.run(20);
              return [start, [...descent.losses, descent.loss, 1 / largestRate(found)], descent.kernel];
            }"""
        )
        x = np.ones((6, 8))
        x[:, 2:6] = 0
        y, w = corr2d.corr2d(x, [[1, -1]]), np.array(start)
        for loss in losses[:20]:
            error = corr2d.corr2d(x, w, dtype="float64") - y
            np.testing.assert_allclose(loss, (error**2).sum(), atol=1e-9)
            w = w - 0.03 * 2 * corr2d.corr2d(x, error, dtype="float64")
        np.testing.assert_allclose(end, w, atol=1e-9)
        assert losses[-1] == pytest.approx(30), "the chapter's rate is just below 1/30"
        for _ in range(3):
            step.click()
        assert "step 3" in tab.get_by_test_id("descent-state").inner_text()
        tab.get_by_test_id("descent-run").click()
        tab.get_by_test_id("descent-state").filter(has_text="step 20 ·").wait_for()
        tab.wait_for_timeout(200)
        assert "step 20 ·" in tab.get_by_test_id("descent-state").inner_text(), "it stops where the chapter stops"
        assert tab.locator(".curve polyline").count() == 1


def test_the_game_can_be_won(studio):
    """A kernel is hidden, found by least squares, and put into the editor: the pictures are the same."""
    studio.get_by_test_id("learn-game").click()
    studio.get_by_test_id("game-score").filter(has_text="Yours is off by").wait_for()
    studio.get_by_test_id("learn-run").click()
    studio.get_by_test_id("learn-take").click()
    studio.get_by_test_id("game-score").filter(has_text="Found").wait_for()
    found = weights(studio)
    assert np.abs(found).max() <= 2
    np.testing.assert_array_equal(found, np.rint(found))


# -- taking along ------------------------------------------------------------------------------------


def test_every_export_is_the_packages(studio):
    """The text for each tool is what Kernel.export writes."""
    targets = studio.get_by_test_id("export-target").evaluate("menu => [...menu.options].map(o => o.value)")
    assert len(targets) == 17
    for target in targets:
        studio.get_by_test_id("export-target").select_option(target)
        kernel = corr2d.Kernel(kernels.sobel(1).weights, name="sobel-x")
        boundary = None if target == "json" else "reflect"
        try:
            expected = kernel.export(target, boundary=boundary, strict=False).text
        except corr2d.Corr2dError as refusal:
            studio.get_by_test_id("export-warnings").filter(has_text=str(refusal)[:30]).wait_for()
            continue
        if isinstance(expected, bytes):
            expected = f"({len(expected)} bytes: save them)"
        shown = ""
        for _ in range(100):
            shown = studio.get_by_test_id("export-text").text_content()
            if shown == expected:
                break
            studio.wait_for_timeout(50)
        assert shown == expected


def test_downloads_hold_what_is_seen(studio, tmp_path):
    """PNG and 16-bit TIFF of the full picture, and the kernel, bit for bit."""
    set_weights(studio, np.full((3, 3), 1 / 9))
    for format in ("png", "tif", "json"):
        with studio.expect_download() as waiting:
            studio.get_by_test_id(f"download-{format}").click()
        waiting.value.save_as(tmp_path / f"it.{format}")
    exact = corr2d.corr2d(CAMERAMAN, np.full((3, 3), 1 / 9), padding="same", boundary="reflect", dtype="float64")
    png, tif = (images.read(tmp_path / name).pixels for name in ("it.png", "it.tif"))
    assert (png.dtype, tif.dtype) == (np.uint8, np.uint16)
    assert np.abs(png - exact).max() <= 0.501
    assert np.abs(tif / 257 - exact).max() <= 0.501 / 257 + 1e-4
    assert corr2d.Kernel.load(tmp_path / "it.json") == corr2d.Kernel(np.full((3, 3), 1 / 9))


def test_a_link_shows_the_same(chromium, url):
    """What the address says is what another page shows; nonsense in it is ignored."""
    with page(chromium, url) as tab:
        set_weights(tab, [[1, -2.5], [0.125, 1e-3]])
        tab.get_by_test_id("boundary").select_option("wrap")
        tab.get_by_test_id("stride").select_option("2")
        tab.get_by_text("Convolution", exact=True).click()
        tab.get_by_test_id("picture").select_option("made:rings")
        tab.wait_for_timeout(600)
        link, sum_here = tab.url, said_sum(tab)
    with page(chromium, link) as tab:
        np.testing.assert_array_equal(weights(tab), [[1, -2.5], [0.125, 1e-3]])
        assert tab.get_by_test_id("boundary").input_value() == "wrap"
        assert tab.get_by_test_id("picture").input_value() == "made:rings"
        assert said_sum(tab) == sum_here
    with page(chromium, f"{url}#k=1,x;2&boundary=../etc&stride=-3&picture=made:nowhere&pixel=a,b&step=999&anchor=9,9") as tab:
        np.testing.assert_array_equal(weights(tab), kernels.sobel(1).weights)
        assert tab.get_by_test_id("boundary").input_value() == "reflect"


def test_the_engine_answers_with_plan_and_time(studio):
    """On the whole picture; page and engine agree."""
    studio.get_by_test_id("engine-run").click()
    result = studio.get_by_test_id("engine-result")
    result.locator("pre").wait_for()
    text = result.inner_text()
    assert re.search(r"[\d.]+ ms", text)
    assert "▸" in text
    assert "512 × 512" in text
    assert re.search(r"Largest difference to this page: 0\.", text)


# -- the chapter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_chapter_from_end_to_end(chromium, url, language):
    """Each step sets the page up; the sums it shows are those of the chapter's kernels, by corr2d."""
    with page(chromium, f"{url}#language={language}") as tab:
        tab.get_by_test_id("chapter-start").click()
        steps = tab.evaluate("import('/chapter-steps.mjs').then(m => m.STEPS)")
        pictures = {}
        titles = []
        for number, step in enumerate(steps):
            settled(tab)
            tab.wait_for_timeout(80)
            chapter = tab.get_by_test_id("chapter")
            titles.append(chapter.locator("h2").inner_text())
            assert f"{number + 1} / {len(steps)}" in chapter.inner_text()
            if step["picture"] not in pictures:
                pictures[step["picture"]] = CAMERAMAN if step["picture"] == "0" else np.array(
                    tab.evaluate(
                        "async (key) => { const { Pictures } = await import('/pictures.mjs'); const { plane: p } = await new Pictures().get(key);"
                        " return Array.from({ length: p.height }, (_, y) => [...p.data.slice(y * p.width, (y + 1) * p.width)]); }",
                        step["picture"],
                    )
                )
            options = {"padding": "valid"} | step.get("options", {})
            expected = corr2d.corr2d(pictures[step["picture"]], step["kernel"], **options)
            assert said_sum(tab) == (tuple(step["pixel"]), pytest.approx(expected[tuple(step["pixel"])], abs=1e-6))
            if number + 1 < len(steps):
                tab.get_by_test_id("chapter-next").click()
        assert titles == [step["title"][language] for step in steps]
        assert tab.get_by_test_id("chapter-next").is_disabled()
        assert tab.locator("#studio").get_attribute("lang") == ("zh-Hans" if language == "zh" else "en")


def test_the_chapters_first_outputs(chromium, url):
    """19 25 37 43, and the column of ones and of minus ones."""
    for step, picture, expected in ((1, (2, 2), [[19, 25], [37, 43]]), (2, (6, 7), [[0, 1, 0, 0, 0, -1, 0]] * 6)):
        with page(chromium, f"{url}#step={step}") as tab:
            settled(tab)
            tab.get_by_test_id("image-output").focus()
            seen = np.full(picture, np.nan)
            for _ in range(picture[0] + picture[1]):
                tab.keyboard.press("ArrowUp")
                tab.keyboard.press("ArrowLeft")
            for y in range(picture[0]):
                for _ in range(picture[1]):
                    at, value = said_sum(tab)
                    seen[at] = value
                    tab.keyboard.press("ArrowRight")
                for _ in range(picture[1]):
                    tab.keyboard.press("ArrowLeft")
                tab.keyboard.press("ArrowDown")
            np.testing.assert_array_equal(seen, expected)


def test_every_word_has_its_chinese():
    """Each text that the page may show is in the dictionary, and nothing else is."""
    from importlib import resources

    folder = resources.files("corr2d.studio") / "static"
    sources = {f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".mjs")}
    used = set()
    for source in sources.values():
        used |= {json.loads(f'"{text}"') for text in re.findall(r'\bt\("((?:[^"\\]|\\.)*)"\)', source)}
    verdicts = sources["learn-panel.mjs"].partition("VERDICTS = ")[2].partition("});")[0]
    used |= set(re.findall(r': "([^"]+)"', verdicts))
    assert len(re.findall(r': "', verdicts)) == 10
    dictionary = sources["text.mjs"].partition("CHINESE = {")[2]
    known = {a or b for a, b in re.findall(r'^  (?:"((?:[^"\\]|\\.)*)"|(\w+)): "', dictionary, re.MULTILINE)}
    made = set(re.findall(r'name: "([^"]+)"', sources["pictures.mjs"])) - {"0 … 8"}
    assert used - known == set()
    assert known - used - made == set()


# -- everyone ----------------------------------------------------------------------------------------


def test_it_works_with_the_keyboard_alone(studio):
    """From the first Tab to an edited weight, an explained output and a zoomed picture; nothing holds the focus."""
    seen = []
    for _ in range(60):
        studio.keyboard.press("Tab")
        seen.append(studio.evaluate("document.activeElement.dataset.testid ?? document.activeElement.textContent.slice(0, 20)"))
        if seen[-1] == "kernel-cell-0-0":
            studio.keyboard.type("5")
        if seen[-1] == "image-output":
            before, _ = said_sum(studio)
            studio.keyboard.press("ArrowRight")
            studio.keyboard.press("ArrowDown")
            studio.wait_for_timeout(60)
            after, _ = said_sum(studio)
            assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
            view = canvas(studio, "image-output")
            studio.keyboard.press("+")
            studio.wait_for_timeout(100)
            assert (canvas(studio, "image-output") != view).any()
    assert weights(studio)[0, 0] == 5
    assert {"picture", "open", "chapter-start", "preset", "boundary", "image-input", "image-output"} <= set(seen)
    assert len(set(seen)) > 40


def test_everything_has_a_name(studio):
    """Whatever takes the focus says what it is to a screen reader."""
    nameless = studio.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea, canvas, svg, [tabindex='0']")]
          .filter((e) => e.offsetParent !== null || e instanceof SVGElement)
          .filter((e) => !(e.getAttribute("aria-label") || e.closest("label")?.textContent.trim() || e.textContent.trim() || e.getAttribute("aria-hidden")))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert [e for e in nameless if "export-text" not in e] == []
    levels = studio.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert max(b - a for a, b in zip(levels, levels[1:], strict=False)) <= 1


LUMINANCE = r"""(scheme) => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; } return [255, 255, 255]; };
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  return [...document.querySelectorAll("h1, h2, h3, p, button, select, label span, pre, summary, figcaption span")]
    .filter((e) => e.offsetParent && e.textContent.trim() && !e.disabled && !e.closest(".off"))
    .map((e) => { const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))]; return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 30)]; })
    .sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_on_its_ground(chromium, url, scheme):
    """A contrast of 4.5 at least (WCAG AA), by day and by night; and night is dark."""
    with page(chromium, url, color_scheme=scheme) as tab:
        ratio, text = tab.evaluate(LUMINANCE)
        assert ratio >= 4.5, text
        shot = np.frombuffer(tab.screenshot(), np.uint8)
        assert shot.size
        ground = tab.evaluate("getComputedStyle(document.querySelector('#studio')).backgroundColor")
        assert (int(re.findall(r"\d+", ground)[0]) < 40) == (scheme == "dark")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_fits_every_width(chromium, url, language):
    """Nothing sticks out sideways, in the chapter neither, down to 320 pixels; targets are large enough for fingers."""
    with page(chromium, f"{url}#step=10&language={language}", has_touch=True) as tab:
        for width in (1920, 1100, 760, 320):
            tab.set_viewport_size({"width": width, "height": 700})
            tab.wait_for_timeout(150)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("[...document.querySelectorAll('button')].filter(e => e.offsetParent).every(e => e.getBoundingClientRect().height >= 32)")
        output = tab.get_by_test_id("image-output")
        output.scroll_into_view_if_needed()
        box = output.bounding_box()
        tab.touchscreen.tap(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6)
        tab.wait_for_timeout(100)
        assert said_sum(tab) == ((1, 1), 43)
        for side in ("kernel-rows", "kernel-columns"):
            tab.get_by_test_id(side).select_option("15")
        settled(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_file_that_is_no_picture_is_said(chromium, url, tmp_path):
    """The page says why, and goes on with the picture that it had."""
    (tmp_path / "x.png").write_bytes(b"<html>")
    with page(chromium, url, allow_errors=True) as tab:  # a browser logs every 4xx
        tab.get_by_test_id("open").set_input_files(tmp_path / "x.png")
        tab.get_by_role("alert").filter(has_text="neither PNG, JPEG, TIFF nor NPY").wait_for()
        assert tab.get_by_test_id("picture").input_value() == "0"


def test_a_picture_of_ones_own(studio, tmp_path):
    """Opened, filtered, explained: a 16-bit TIFF larger than the preview."""
    image = RNG.integers(0, 65536, (700, 600), np.uint16)
    images.write(tmp_path / "mine.tif", image)
    studio.get_by_test_id("open").set_input_files(tmp_path / "mine.tif")
    studio.get_by_text("700 × 600 · shown as 350 × 300").wait_for()
    settled(studio)
    studio.wait_for_timeout(100)
    (y, x), value = said_sum(studio)
    small = image.reshape(350, 2, 300, 2).mean((1, 3))
    expected = corr2d.corr2d(small, kernels.sobel(1), padding="same", boundary="reflect")
    assert value == pytest.approx(expected[y, x], rel=1e-6)


@pytest.mark.parametrize("size", [3, 15])
def test_the_output_comes_with_the_digit(studio, size):
    """One weight of a random kernel typed anew: the first frame after the key has the output that stays."""
    studio.get_by_label("Rows", exact=True).first.select_option(str(size))
    studio.get_by_label("Columns", exact=True).first.select_option(str(size))
    set_weights(studio, RNG.integers(-9, 10, (size, size)))
    middle = cell(studio, size // 2, size // 2)
    middle.fill("4")
    studio.wait_for_timeout(400)
    settled(studio)
    studio.evaluate(
        """() => {
          const canvas = document.querySelector("[data-testid=image-output]");
          const shown = () => canvas.toDataURL();
          window.before = shown();
          window.first = new Promise((seen) =>
            document.addEventListener("input", () => requestAnimationFrame(() => setTimeout(() => seen(shown()))), { capture: true, once: true }));
        }"""
    )
    middle.fill("7")
    before, first = studio.evaluate("Promise.all([before, first])")
    studio.wait_for_timeout(400)  # whole sums have replaced what was edited
    settled(studio)
    assert first != before
    assert first == studio.evaluate("document.querySelector('[data-testid=image-output]').toDataURL()")


def test_from_key_to_paint(studio, record_property, capsys):
    """The time from a keystroke to the painted output, told and not judged: machines differ."""
    told = []
    for size in (3, 7, 15):
        studio.get_by_label("Rows", exact=True).first.select_option(str(size))
        studio.get_by_label("Columns", exact=True).first.select_option(str(size))
        middle = cell(studio, size // 2, size // 2)
        rows = RNG.integers(-9, 10, (size, size))
        set_weights(studio, rows)
        studio.evaluate("performance.clearMeasures()")
        for digit in "123456789":
            middle.fill(digit)
            studio.wait_for_timeout(100)
        times = studio.evaluate("performance.getEntriesByName('corr2d:key-to-paint').map((e) => e.duration)")
        assert len(times) >= 6, "each key is followed by a painted output"
        told.append(f"{size} × {size}: {np.median(times):.0f} ms")
        record_property(f"key_to_paint_{size}", float(np.median(times)))
    with capsys.disabled():
        print(f"\n    studio, from key to painted 512 × 512 output (median): {', '.join(told)}")


# -- the notebook ------------------------------------------------------------------------------------


def test_the_widget_is_the_same_page(chromium, tmp_path):
    """Its one module, in a page that does what a notebook does: edits reach Python, and Python's kernels the page."""
    pytest.importorskip("anywidget", reason="the notebook studio needs anywidget: pip install 'corr2d[notebook]'")
    photo = CAMERAMAN[100:164, 200:280]
    widget = corr2d.KernelStudio(photo, kernel=[[1, -1]])
    (tmp_path / "widget.mjs").write_text(widget._esm, "utf-8")
    (tmp_path / "index.html").write_text(f"<!doctype html><style>{widget._css}</style><div id=cell></div>", "utf-8")
    context = chromium.new_context(viewport={"width": 900, "height": 900})
    tab = context.new_page()
    said, foreign, answers = [], [], []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.route("http://notebook.test/**", lambda route: route.fulfill(path=tmp_path / (route.request.url.rpartition("/")[2] or "index.html")))
    tab.on("request", lambda request: None if request.url.startswith(("http://notebook.test/", "blob:")) else foreign.append(request.url))
    widget.send = lambda content, buffers=None: answers.append([content, [list(b) for b in buffers or []]])

    def ask(content, buffers):
        widget._handle_custom_msg(content, [bytes(b) for b in buffers])
        return answers.pop()

    tab.expose_function("askPython", ask)
    tab.expose_function("tellPython", lambda state: widget.set_state(state))
    tab.goto("http://notebook.test/")
    tab.evaluate(
        """async (state) => {
          const listeners = {};
          window.model = {
            state, changed: {},
            get: (name) => window.model.state[name],
            set: (name, value) => { window.model.state[name] = value; window.model.changed[name] = value; },
            save_changes: () => { const c = window.model.changed; window.model.changed = {}; if (Object.keys(c).length) window.tellPython(c); },
            on: (name, work) => (listeners[name] ??= []).push(work), off() {},
            fire: (name, ...args) => (listeners[name] ?? []).forEach((work) => work(...args)),
            send: async (content, _, buffers = []) => {
              const [answer, data] = await window.askPython(content, buffers.map((b) => [...new Uint8Array(b)]));
              window.model.fire("msg:custom", answer, data.map((b) => new DataView(Uint8Array.from(b).buffer)));
            },
          };
          const widget = (await import("http://notebook.test/widget.mjs")).default;
          await widget.render({ model: window.model, el: document.querySelector("#cell") });
        }""",
        widget.get_state(["kernel", "options"]),
    )
    tab.locator(".corr2d-studio[data-settled=true]").wait_for()
    np.testing.assert_array_equal(weights(tab), [[1, -1]])
    cell(tab, 0, 1).fill("7")
    tab.wait_for_timeout(200)
    assert widget.kernel == corr2d.Kernel([[1, 7]])
    widget.kernel = "sobel-y"
    tab.evaluate("(state) => { Object.assign(window.model.state, state); window.model.fire('change:kernel'); }", widget.get_state(["kernel"]))
    tab.wait_for_timeout(200)
    np.testing.assert_array_equal(weights(tab), kernels.sobel(0).weights)
    (y, x), value = said_sum(tab)
    assert value == corr2d.corr2d(photo, kernels.sobel(0), padding="same", boundary="reflect")[y, x]
    assert (said, foreign) == ([], [])
    context.close()
