"""The studio in a real browser, as a person with a mouse, a keyboard or a phone meets it."""

import numpy as np
import pytest

import corr2d
import oracle
from corr2d import images, kernels
from studio_page import canvas, cell, chromium, modules, page, said_sum, set_weights, settled, studio, url, weights  # noqa: F401

CAMERAMAN = images.sample().pixels
RNG = np.random.default_rng(4)


# -- the page's arithmetic ---------------------------------------------------------------------------


def random_case(rng):
    """A problem that the page can be asked, and the options of corr2d for it."""
    shape = tuple(rng.integers(1, 12, 2))
    kernel = rng.integers(-3, 4, tuple(rng.integers(1, 7, 2))) if rng.random() < 0.5 else rng.standard_normal(tuple(rng.integers(1, 7, 2)))
    if rng.random() < 0.2:
        kernel = np.outer(rng.standard_normal(5), rng.standard_normal(4))
    options = {
        "padding": ["valid", "same", "full", int(rng.integers(0, 15))][rng.integers(4)],
        "boundary": oracle.BOUNDARIES[rng.integers(5)],
        "fill": float(rng.integers(-3, 4)),
        "stride": int(rng.integers(1, 4)),
        "dilation": int(rng.integers(1, 4)),
    }
    anchor = [int(rng.integers(n)) for n in kernel.shape] if options["padding"] == "same" and rng.random() < 0.4 else None
    return rng.standard_normal(shape), kernel.astype(float), anchor, options, bool(rng.random() < 0.3)


def test_the_pages_arithmetic_is_corr2ds(modules):
    """400 random problems: boundary, padding, anchor, stride, dilation, turned or not, and those that do not fit."""
    rng = np.random.default_rng(7)
    cases = [random_case(rng) for _ in range(400)]
    asked = [
        [{"height": x.shape[0], "width": x.shape[1], "values": x.ravel().tolist()}, {"weights": k.tolist(), "anchor": a}, o | {"convolve": c}]
        for x, k, a, o, c in cases
    ]
    answers = modules.evaluate(
        """async (cases) => {
          const { correlate, windowAt } = await import("/correlate.mjs");
          return cases.map(([plane, kernel, options]) => {
            plane.data = Float64Array.from(plane.values);
            try {
              const { height, width, data } = correlate(plane, kernel, options);
              const last = windowAt(plane, kernel, options, height - 1, width - 1).sum;
              return { shape: [height, width], values: [...data], last };
            } catch (error) { return { error: error.message }; }
          });
        }""",
        asked,
    )
    fitted = 0
    for (image, kernel, anchor, options, convolve), answer in zip(cases, answers, strict=True):
        call = corr2d.convolve2d if convolve else corr2d.corr2d
        try:
            expected = call(image, kernel, anchor=tuple(anchor) if anchor else None, method="reference", **options)
        except corr2d.ShapeError:
            assert "The kernel covers" in answer["error"]
            continue
        fitted += 1
        assert answer["shape"] == list(expected.shape), (image.shape, kernel.shape, options)
        np.testing.assert_allclose(np.reshape(answer["values"], expected.shape), expected, rtol=0, atol=1e-13 * np.abs(kernel).sum() * 4)
        np.testing.assert_allclose(answer["last"], expected[-1, -1], rtol=0, atol=1e-13 * np.abs(kernel).sum() * 4)
    assert fitted > 250


def test_edits_one_after_another_are_the_whole_sum(modules):
    """60 random edits of one to three weights, a kernel as large as the grid: what is added up is what is computed anew."""
    worst, exact = modules.evaluate(
        """async () => {
          const { Edits } = await import("/edits.mjs");
          const { correlate } = await import("/correlate.mjs");
          const { generator } = await import("/descent.mjs");
          const out = [];
          for (const whole of [false, true]) {
            const random = generator(5);
            const value = () => (whole ? Math.round(20 * random() - 10) : random() - 0.5);
            const plane = { height: 20, width: 23, data: new Float64Array(460).map(value) };
            const options = { padding: "same", boundary: "wrap", fill: 0, stride: 1, dilation: 2, convolve: true };
            const weights = Array.from({ length: 9 }, () => Array.from({ length: 7 }, value));
            const edits = new Edits();
            let worst = 0;
            for (let step = 0; step < 60; step++) {
              for (let n = 0; n <= step % 3; n++) weights[Math.floor(9 * random())][Math.floor(7 * random())] = value();
              const kernel = { weights: weights.map((line) => [...line]) };
              const [fast, slow] = [edits.run(plane, kernel, options).data, correlate(plane, kernel, options).data];
              fast.forEach((v, i) => (worst = Math.max(worst, Math.abs(v - slow[i]))));
            }
            out.push(worst);
          }
          return out;
        }"""
    )
    assert 0 < worst < 32 * 2**-53 * 63 * 0.5 * 0.5
    assert exact == 0


def test_a_nan_reaches_every_window_and_no_other(modules):
    """Zero weights multiply, too."""
    image = np.zeros((9, 9))
    image[4, 4] = np.nan
    values = modules.evaluate(
        """async () => { const { correlate } = await import("/correlate.mjs");
          const data = new Float64Array(81); data[40] = NaN;
          const kernel = { weights: [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]] };
          const options = { padding: "same", boundary: "reflect", fill: 0, stride: 1, dilation: 1, convolve: false };
          return [...correlate({ height: 9, width: 9, data }, kernel, options).data].map(Number.isNaN); }"""
    )
    kernel = np.array([[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    expected = np.isnan(corr2d.corr2d(image, kernel, padding="same", boundary="reflect"))
    np.testing.assert_array_equal(np.reshape(values, (9, 9)), expected)


def test_response_and_matrix_are_what_numpy_says(modules):
    """The frequency response against the sum itself, the chapter's matrix against corr2d.as_matrix."""
    kernel = RNG.standard_normal((3, 4))
    seen, rows = modules.evaluate(
        """async (weights) => {
          const { response } = await import("/response.mjs");
          const { matrix } = await import("/chapter.mjs");
          const { geometry } = await import("/correlate.mjs");
          const plane = { height: 5, width: 6, data: new Float64Array(30) };
          const options = { padding: "same", boundary: "symmetric", fill: 0, stride: 2, dilation: 1, convolve: false };
          return [[...response(weights, 9).data], matrix(plane, { weights }, options, geometry(plane, { weights }, options))];
        }""",
        kernel.tolist(),
    )
    f = np.linspace(-0.5, 0.5, 9)
    i, j = np.arange(3), np.arange(4)
    expected = np.abs(np.einsum("ij,vi,uj->vu", kernel, np.exp(2j * np.pi * np.outer(f, i)), np.exp(2j * np.pi * np.outer(f, j))))
    np.testing.assert_allclose(np.reshape(seen, (9, 9)), expected, atol=1e-12)
    full = corr2d.as_matrix(kernel, (5, 6), padding="same", boundary="symmetric", stride=2).toarray()
    np.testing.assert_allclose(rows, full, atol=1e-12)


# -- editing -----------------------------------------------------------------------------------------


def test_the_output_follows_every_way_of_editing(studio):
    """Typed, stepped, turned with the wheel, dragged, undone and done again."""
    before = canvas(studio, "image-output")
    cell(studio, 1, 1).fill("8")
    settled(studio)
    studio.wait_for_timeout(60)
    assert weights(studio)[1, 1] == 8
    assert (canvas(studio, "image-output") != before).any()
    cell(studio, 0, 0).focus()
    studio.keyboard.press("ArrowUp")
    studio.keyboard.press("Shift+ArrowUp")
    assert weights(studio)[0, 0] == 10
    studio.keyboard.press("Enter")
    assert studio.evaluate("document.activeElement.dataset.testid") == "kernel-cell-1-0"
    cell(studio, 2, 2).hover()
    studio.wait_for_timeout(450)
    studio.mouse.wheel(0, -100)
    studio.wait_for_timeout(50)
    assert weights(studio)[2, 2] == 2
    box = cell(studio, 0, 2).bounding_box()
    studio.mouse.move(box["x"] + 20, box["y"] + 20)
    studio.mouse.down()
    studio.mouse.move(box["x"] + 20, box["y"] + 2, steps=4)
    studio.mouse.up()
    studio.wait_for_timeout(150)
    assert weights(studio)[0, 2] == 4
    studio.keyboard.press("Control+z")
    assert weights(studio)[0, 2] == 1
    for _ in range(4):
        studio.keyboard.press("Control+z")
    np.testing.assert_array_equal(weights(studio), kernels.sobel(1).weights)
    for _ in range(4):
        studio.get_by_role("button", name="Redo").click()
    np.testing.assert_array_equal(weights(studio), [[10, 0, 4], [-2, 8, 2], [-1, 0, 2]])


def test_unfinished_numbers_change_nothing(studio):
    """A lone minus is on its way to a number; a fraction is one."""
    cell(studio, 0, 1).fill("-")
    assert cell(studio, 0, 1).get_attribute("aria-invalid") == "true"
    assert weights(studio)[0, 1] == 0
    cell(studio, 0, 1).fill("-1/4")
    assert weights(studio)[0, 1] == -0.25


PASTED = [
    ("array([[ 1.,  2.],\n       [-3.,  4.]])", [[1, 2], [-3, 4]]),
    ("k = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)", [[1, 2, 3], [4, 5, 6]]),
    ("torch.tensor([[0.5, -0.5]])", [[0.5, -0.5]]),
    ("K = [1 2; 3 4];", [[1, 2], [3, 4]]),
    ("[1, -2, 1]", [[1, -2, 1]]),
    ("1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
    ("1\t2\n3\t4", [[1, 2], [3, 4]]),
    ("1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9", np.full((3, 3), 1 / 9)),
    ("\N{MINUS SIGN}1 0 1e-2", [[-1, 0, 0.01]]),
    ('{"format": "corr2d-kernel", "version": 1, "weights": [[1, 2]], "anchor": [0, 1]}', [[1, 2]]),
]


def test_kernels_are_pasted_as_people_have_them(studio):
    """NumPy, torch, MATLAB, CSV, a table, fractions, a kernel file: into any cell."""
    for text, rows in PASTED:
        cell(studio, 0, 0).focus()
        studio.evaluate(
            """(text) => { const data = new DataTransfer(); data.setData("text", text);
              document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""",
            text,
        )
        np.testing.assert_array_equal(weights(studio), rows, err_msg=text)


NO_KERNELS = [
    ("1 2; 3", "Row 2 has 1 numbers, and row 1 has 2."),
    ("1 two; 3 4", "“two” is not a number"),
    ("{}", "This JSON holds no corr2d kernel."),
    (" ".join(["1"] * 16), "1 × 16 is too large"),
]


def test_what_is_no_kernel_is_said(studio):
    studio.get_by_text("Paste or copy as text").click()
    for text, complaint in NO_KERNELS:
        studio.get_by_label("Kernel as text").fill(text)
        studio.get_by_role("alert").filter(has_text=complaint).wait_for()
        np.testing.assert_array_equal(weights(studio), kernels.sobel(1).weights)


def test_text_pasted_at_once_is_kept(studio):
    """The browser tells late that the box has opened; by then there may be a kernel in it."""
    studio.get_by_label("Kernel as text").evaluate(
        """text => {
            text.closest("details").querySelector("summary").click();
            text.focus();
            text.value = "1 -1";
            text.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    studio.wait_for_timeout(600)
    np.testing.assert_array_equal(weights(studio), [[1, -1]])
    assert studio.get_by_label("Kernel as text").input_value() == "1 -1"
    studio.get_by_test_id("preset").focus()
    studio.get_by_test_id("preset").select_option("sobel-x")
    assert studio.get_by_label("Kernel as text").input_value() == "-1 0 1; -2 0 2; -1 0 1"


def test_tools_for_the_whole_kernel(studio):
    """Each against NumPy."""
    k = np.array([[1.0, 2, 3], [4, 5, 7]])
    tools = {
        "Transpose": k.T, "Rotate": np.rot90(k), "Flip ↔": k[:, ::-1], "Flip ↕": k[::-1], "Normalise": k / k.sum(),
        "×": 2 * k, "Clear": 0 * k,
    }  # fmt: skip
    for name, expected in tools.items():
        set_weights(studio, k)
        studio.get_by_role("button", name=name, exact=True).click()
        np.testing.assert_allclose(weights(studio), expected, rtol=1e-15)
    set_weights(studio, k)
    studio.get_by_label("Rows", exact=True).first.select_option("4")
    np.testing.assert_array_equal(weights(studio)[1:3] if not weights(studio)[0].any() else weights(studio)[:2], k)
    studio.get_by_label("Columns", exact=True).first.select_option("15")
    assert weights(studio).shape == (4, 15)


def test_the_description_is_the_packages(studio):
    """Live, as the kernel is edited."""
    for rows in ([[1, -1]], [[1, 2, 1], [2, 4, 2], [1, 2, 1]]):
        set_weights(studio, rows)
        lines = [line.split("  ")[0] for line in str(corr2d.describe(rows)).splitlines()]
        studio.get_by_test_id("describe").filter(has_text=lines[0]).wait_for()  # the name is the last to come
        shown = studio.get_by_test_id("describe").inner_text()
        assert [line for line in lines if line not in shown] == []


def test_every_preset_is_the_packages(studio, url):
    """The menu holds the kernels of corr2d, to the last bit."""
    names = studio.get_by_test_id("preset").evaluate("menu => [...menu.options].map(o => o.value).filter(Boolean)")
    assert {"sobel-x", "gaussian", "laplacian", "sharpen", "box"} <= set(names)
    studio.get_by_test_id("preset").select_option("gaussian")
    np.testing.assert_array_equal(weights(studio), kernels.gaussian(1).weights)
    studio.get_by_test_id("preset").select_option("sobel-x")
    np.testing.assert_array_equal(weights(studio), kernels.sobel(1).weights)


# -- seeing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "&boundary=wrap&padding=full", "&padding=valid&stride=3&dilation=2", "&convolve=1&boundary=constant&fill=9"])
def test_hovering_tells_the_sum(chromium, url, options):
    """In both pictures; the sum is corr2d's, of the very window."""
    kernel = [[1, -2, 3], [0.5, 4, -5]]
    with page(chromium, f"{url}#k=1,-2,3;0.5,4,-5{options}") as tab:
        given = dict(part.split("=") for part in options.split("&") if part)
        call = corr2d.convolve2d if given.pop("convolve", None) else corr2d.corr2d
        words = {"padding": "same", "boundary": "reflect"} | {k: v if k in ("padding", "boundary") else int(v) for k, v in given.items()}
        expected = call(CAMERAMAN, kernel, dtype="float64", **words)
        for testid in ("image-output", "image-input"):
            box = tab.get_by_test_id(testid).bounding_box()
            for place in ((0.5, 0.5), (0.03, 0.05), (0.97, 0.4)):
                tab.mouse.move(box["x"] + box["width"] * place[0], box["y"] + box["height"] * place[1])
                tab.wait_for_timeout(60)
                (y, x), value = said_sum(tab)
                assert value == pytest.approx(expected[y, x], abs=1e-6)
        cells = tab.get_by_test_id("arithmetic").locator("td .product").all_inner_texts()
        assert sum(float(c) for c in cells) == pytest.approx(value)


def test_padding_is_drawn_and_marked(chromium, url):
    """Outside the picture the boundary's pixels are seen, hatched; in the sum they are outlined."""
    with page(chromium, f"{url}#k=1,1,1;1,1,1;1,1,1&picture=made:edge&padding=full&boundary=wrap&pixel=0,0") as tab:
        assert tab.get_by_test_id("arithmetic").locator("td.outside").count() == 8
        shown = canvas(tab, "image-input").astype(int)
        size = shown.shape[1] / 12  # 8 columns and 2 on each side
        top = shown.shape[0] / 2 - 3 * size
        padding = shown[int(top + 0.1 * size) : int(top + 0.9 * size), int(0.1 * size) : int(0.9 * size)]
        inside = shown[int(top + 3.05 * size) : int(top + 3.2 * size), int(8.8 * size) : int(8.95 * size)]
        assert (inside == 255).mean() > 0.9
        assert (padding < 250).mean() > 0.5, "wrapped ones are white, and hatched"


def test_numbers_appear_near_enough_and_views_move_together(studio):
    """Zooming one picture zooms both."""
    views = [canvas(studio, name) for name in ("image-input", "image-output")]
    studio.get_by_test_id("image-input").hover()
    for _ in range(12):
        studio.mouse.wheel(0, -150)
    studio.wait_for_timeout(200)
    for name, before in zip(("image-input", "image-output"), views, strict=True):
        assert (canvas(studio, name) != before).mean() > 0.2
    studio.get_by_role("button", name="Show the whole picture").click()
    studio.wait_for_timeout(200)
    assert (canvas(studio, "image-output") == views[1]).mean() > 0.99


def test_the_picture_shown_is_the_one_computed(chromium, url):
    """The output canvas against corr2d's result, both brought to 32 × 32 means."""
    with page(chromium, url) as tab:
        tab.get_by_test_id("preset").select_option("gaussian")
        settled(tab)
        tab.wait_for_timeout(100)
        shown = canvas(tab, "image-output", drawn=True)
        assert (shown[..., 0] == shown[..., 1]).mean() > 0.99, "a smoothed photograph is gray"
        expected = np.clip(corr2d.corr2d(CAMERAMAN, kernels.gaussian(1), padding="same", boundary="reflect"), 0, 255)
        difference = np.abs(means(shown[..., 0]) - means(expected))
        assert np.sort(difference.ravel())[-5] < 16, "but for the mark in the middle"
        assert difference.mean() < 1.5
        tab.get_by_test_id("preset").select_option("sobel-x")
        settled(tab)
        tab.wait_for_timeout(100)
        signed = canvas(tab, "image-output", drawn=True).astype(float)
        edges = means(corr2d.corr2d(CAMERAMAN, kernels.sobel(1), padding="same", boundary="reflect"))
        bluer = means(signed[..., 2] - signed[..., 0])
        assert np.corrcoef(bluer.ravel(), edges.ravel())[0, 1] < -0.8, "negative is blue, positive is orange"


@pytest.fixture
def coloured(tmp_path):
    """A picture whose channels differ, as a file."""
    y, x = np.mgrid[:96, :96]
    pixels = np.stack([255 * (x > 40), 2.5 * y, 255 * ((x // 12 + y // 12) % 2)], axis=-1).astype(np.uint8)
    images.write(tmp_path / "coloured.png", pixels)
    return tmp_path / "coloured.png", pixels


def test_colours_are_filtered_channel_by_channel(studio, coloured):
    """In colour where the result is a picture, signed luminance where it is not, gray on request; the sum is of gray values throughout."""
    path, pixels = coloured
    studio.get_by_test_id("open").set_input_files(path)
    studio.get_by_text("96 × 96").first.wait_for()
    gray = pixels @ [0.299, 0.587, 0.114]
    for preset, kernel in (("gaussian", kernels.gaussian(1)), ("sobel-x", kernels.sobel(1))):
        studio.get_by_test_id("preset").select_option(preset)
        settled(studio)
        studio.wait_for_timeout(100)
        (y, x), value = said_sum(studio)
        assert value == pytest.approx(corr2d.corr2d(gray, kernel, padding="same", boundary="reflect")[y, x], abs=1e-6)
        shown = canvas(studio, "image-output", drawn=True).astype(float)
        if preset == "gaussian":
            expected = corr2d.corr2d(pixels, kernel, padding="same", boundary="reflect", channel_axis=-1)
            for c in range(3):
                difference = np.abs(means(shown[..., c]) - means(expected[..., c]))
                assert np.median(difference) < 3
                assert difference.mean() < 8
        else:
            bluer = means(shown[..., 2] - shown[..., 0])
            edges = means(corr2d.corr2d(gray, kernel, padding="same", boundary="reflect"))
            assert np.corrcoef(bluer.ravel(), edges.ravel())[0, 1] < -0.8
    assert np.ptp(canvas(studio, "image-input", drawn=True).astype(int), axis=-1).mean() > 40
    studio.get_by_test_id("display").select_option("gray")
    settled(studio)
    studio.wait_for_timeout(100)
    for name in ("image-input", "image-output"):
        assert (np.ptp(canvas(studio, name, drawn=True).astype(int), axis=-1) == 0).mean() > 0.99


def test_the_anchor_is_corr2ds(chromium, url):
    """Chosen, seen in the grid and in the padding, turned with the kernel, taken along by the tools, and given back."""
    kernel = np.array([[1, -2, 3, 0.5], [0.5, 4, -5, 2]])
    with page(chromium, f"{url}#k=1,-2,3,0.5;0.5,4,-5,2&picture=made:count&boundary=constant&fill=7&pixel=0,0") as tab:
        image = np.arange(9.0).reshape(3, 3)
        tab.get_by_test_id("anchor-row").select_option("1")
        tab.get_by_test_id("anchor-column").select_option("3")
        settled(tab)
        options = {"padding": "same", "fill": 7.0, "anchor": (1, 3)}
        assert said_sum(tab) == ((0, 0), corr2d.corr2d(image, kernel, **options)[0, 0])
        assert "anchor" in cell(tab, 1, 3).get_attribute("class")
        assert tab.locator(".grid .anchor").count() == 1
        assert tab.get_by_test_id("arithmetic").locator("td.outside").count() == 7, "all but the anchor's lie outside"
        tab.get_by_text("Convolution", exact=True).click()
        settled(tab)
        assert said_sum(tab)[1] == corr2d.convolve2d(image, kernel, **options)[0, 0]
        for name, expected in (("Transpose", "kernel-cell-3-1"), ("Flip ↔", "kernel-cell-3-0"), ("Flip ↕", "kernel-cell-0-0")):
            tab.get_by_role("button", name=name, exact=True).click()
            assert tab.locator(".grid .anchor").get_attribute("data-testid") == expected
        tab.get_by_test_id("anchor-default").click()
        assert tab.locator(".grid .anchor").get_attribute("data-testid") == "kernel-cell-1-0"
        tab.get_by_test_id("padding").select_option("full")
        assert tab.get_by_test_id("anchor-row").is_disabled()
        assert tab.locator(".grid .anchor").count() == 0


def means(plane, n=32):
    """n × n block means."""
    rows, columns = (np.linspace(0, size, n + 1).astype(int) for size in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane.astype(float), rows[:-1], 0), columns[:-1], 1)
    return sums / np.outer(np.diff(rows), np.diff(columns))


def test_convolution_turns_the_kernel(studio):
    turning = studio.locator(".applied")
    assert turning.evaluate("e => getComputedStyle(e).rotate") in ("none", "0deg")
    studio.get_by_text("Convolution", exact=True).click()
    studio.wait_for_timeout(800)
    assert turning.evaluate("e => getComputedStyle(e).rotate") == "180deg"
    (y, x), value = said_sum(studio)
    expected = corr2d.convolve2d(CAMERAMAN, kernels.sobel(1), padding="same", boundary="reflect")
    assert value == expected[y, x]
    np.testing.assert_array_equal(weights(studio), kernels.sobel(1).weights)


def test_a_kernel_that_does_not_fit_is_said(chromium, url):
    with page(chromium, f"{url}#k=1,1,1,1;1,1,1,1;1,1,1,1;1,1,1,1&picture=made:count&padding=valid") as tab:
        tab.get_by_text("The kernel covers 4 × 4 pixels, the picture has 3 × 3 with its padding.").wait_for()
        tab.get_by_test_id("padding").select_option("same")
        settled(tab)
        assert said_sum(tab)[0]
        assert not tab.get_by_text("The kernel covers").is_visible()
