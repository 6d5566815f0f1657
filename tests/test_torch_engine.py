"""The engine for other devices, forced on the CPU: every case of the table, by the definition; and banks of kernels."""

from dataclasses import replace

import numpy as np
import pytest

import corr2d
import oracle
from cases import CASES, dense, pixels
from corr2d import _analysis, _arrays, _plan, _problem
from corr2d.engines import CANDIDATES
from machine import run_python

torch = pytest.importorskip("torch")

ELSEWHERE = {c.method: c for c in CANDIDATES if c.engine == "torch"}
# What the CPU's tensors lack, not the engine.
SMALL = [case for case in CASES if case.work < 1e6]


def problem_of(case):
    """The planner's problem and facts, for an image that is said to lie elsewhere."""
    source, spec = _arrays.take(case.image()), _problem.read_kernel(case.kernel)
    spec = _problem.turn(spec) if case.convolve else spec
    problem = _problem.normalise(source.data.shape, source.dtype, None, spec, turned=case.convolve, **case.options)
    weights = spec.weights if case.convolve else spec.weights.conj()
    return source, replace(problem, device="elsewhere"), _analysis.analyse(weights)


@pytest.mark.parametrize("method", ELSEWHERE)
def test_every_case_by_torchs_own_operators(method):
    """Shapes, dtypes, borders, exact integers, the accuracy bound, NaN: the whole table, or a reason."""
    done, refused = 0, set()
    for case in SMALL:
        source, problem, facts = problem_of(case)
        reason = ELSEWHERE[method].refuse(problem, facts)
        if reason:
            refused.add(reason)
            continue
        out = np.empty(problem.out_shape, _arrays.numpy_dtype(problem.out_dtype))
        ELSEWHERE[method].prepare(problem, facts)(problem.canonical(source.data), problem.canonical(out), 1)
        oracle.check(out, case.image(), case.kernel, convolve=case.convolve, **case.options)
        done += 1
    assert done > 0.8 * len(SMALL)
    assert all("may" in reason or "finite" in reason for reason in refused), refused


def by_its_method(method, image, kernel, **options):
    """The engine's answer for an image that is said to lie elsewhere."""
    problem = replace(corr2d.plan(image, kernel, **options).problem, device="elsewhere")
    facts = _analysis.analyse(_problem.read_kernel(kernel).weights)
    assert ELSEWHERE[method].refuse(problem, facts) == ""
    out = np.empty(problem.out_shape, _arrays.numpy_dtype(problem.out_dtype))
    ELSEWHERE[method].prepare(problem, facts)(problem.canonical(image), problem.canonical(out), 1)
    return out


def test_sums_that_no_float_holds():
    """Large integers under an uneven kernel of them: exact where neither 2**53 nor the kernel's transpose would do."""
    image = np.random.default_rng(0).integers(-(2**31), 2**31, (9, 11), np.int32)
    kernel = np.array([[1, -2, 3], [4, 0, -5]]) * 2**25 + 1
    ours = by_its_method("matmul", image, kernel, dtype="int64", padding="same", boundary="reflect", stride=(1, 2))
    expected = oracle.exact(image, kernel, padding="same", boundary="reflect", stride=(1, 2))
    np.testing.assert_array_equal(ours, expected.astype(np.int64))
    assert (np.abs(expected.astype(float)) > 2**53).any()


def test_a_transform_keeps_what_is_not_finite_in_its_windows():
    """NaN under an uneven, dilated kernel with zeros: just the windows that hold one are not finite."""
    image = pixels(40, 50)
    image[12, 20], image[30, 5] = np.nan, np.nan
    kernel = dense(4, 7)
    kernel[1, 2:5] = 0
    options = dict(padding="same", boundary="edge", dilation=2)
    room = 32 * 2.0**-24 * np.abs(kernel).sum() * np.nanmax(np.abs(image))
    expected = oracle.exact(image, kernel, **options).astype(float)
    np.testing.assert_allclose(by_its_method("fft", image, kernel, **options), expected, rtol=0, atol=room)


def test_the_plan_of_another_device_knows_only_this_engine():
    """The compiled candidates refuse by name of the device, one of the engine's is chosen."""
    _, problem, facts = problem_of(SMALL[0])
    candidate, _, considered = _plan._consider(problem, facts, "auto", 1)
    assert candidate.engine == "torch"
    assert {c.reason for c in considered if c.engine != "torch"} == {"the image is on device elsewhere"}


def test_many_channels_on_the_cpu():
    """matmul keeps the accuracy, and works in bands of little memory."""
    image, kernel = pixels(2, 40, 60, 50), dense(48, 40, 3, 3)
    plan = corr2d.plan(image, kernel, padding="same", boundary="reflect", method="matmul")
    assert (plan.engine, plan.method) == ("torch", "matmul")
    ours = corr2d.corr2d(image, kernel, padding="same", boundary="reflect")
    np.testing.assert_allclose(plan(image), ours, rtol=0, atol=32 * 2.0**-24 * np.abs(kernel).sum((1, 2, 3)).max() * np.abs(image).max())
    with pytest.raises(ValueError, match="one channel at a time"):
        corr2d.corr2d(image, kernel[0, 0], method="matmul")


def test_arrays_go_to_it_by_name_only():
    """What is planned for an array is the same whether or not somebody has imported PyTorch; for a tensor it may be chosen."""
    code = "import numpy as np, corr2d\np = corr2d.plan((4, 64, 56, 56), np.ones((64, 64, 3, 3)), padding=1)\nprint(p)"
    alone, beside = run_python(code), run_python("import torch\n" + code)
    assert alone == beside
    assert "for tensors, or where it is asked for by name" in alone
    image, kernel = pixels(4, 64, 56, 56), dense(64, 64, 3, 3)
    assert corr2d.plan(image, kernel).engine != "torch"
    assert corr2d.plan(torch.from_numpy(image), kernel).engine == "torch"
    assert run_python(f"{code.splitlines()[0]}\nprint(corr2d.corr2d(np.ones((2, 5, 5)), np.ones((3, 2, 3, 3)), method='matmul').sum())") == "486.0\n"


def test_planning_for_a_tensor_elsewhere():
    """The plan of a tensor on another device is this engine's, and says what it takes."""
    image, kernel = torch.empty(2, 9, 10, 3, device="meta"), torch.ones(4, 3, 3, 3, requires_grad=True)
    plan = corr2d.plan(image, kernel, channel_axis=-1, padding="same", stride=2)
    assert (plan.engine, plan.problem.device) == ("torch", "meta")
    assert "the image is on device meta" in str(plan)
    result = plan(image)
    assert (result.device.type, tuple(result.shape), result.dtype) == ("meta", (2, 5, 5, 4), torch.float32)
    assert plan(image, out=result) is result
    for wrong in (torch.ones(2, 9, 10, 3), image.double(), image[:1], np.ones((2, 9, 10, 3))):
        with pytest.raises(ValueError, match=r"plan is for a tensor of shape \(2, 9, 10, 3\) and dtype float32 on device meta; got .*corr2d.plan"):
            plan(wrong)
    with pytest.raises(ValueError, match=r"out has shape \(5, 5\)"):
        plan(image, out=torch.empty(5, 5, device="meta"))


def test_what_such_a_plan_computes():
    """By way of the CPU, where the numbers can be seen."""
    image, kernel = torch.from_numpy(pixels(2, 9, 10, 3)), dense(4, 3, 3, 3)
    plan = corr2d.plan(image, kernel, channel_axis=-1, padding="same", boundary="wrap", method="matmul")
    oracle.check(plan._run_there(image, None).numpy(), image.numpy(), kernel, channel_axis=-1, padding="same", boundary="wrap")


@pytest.mark.parametrize("method", ["direct", "fft", "reference"])
@pytest.mark.parametrize("size", [(3, 4), (17, 5)])
def test_banks_take_kernels_in_turn(method, size):
    """Planes with kernels and biases of their own, in one call, are those planes one by one."""
    image, weights, biases = pixels(2, 3, 30, 70), dense(3, *size), np.array([1.0, 0.0, -2.0])
    problem = replace(
        corr2d.plan(image, weights[0], padding="same", boundary="edge").problem, bank=3, trained=True
    )  # fmt: skip
    out = np.empty(problem.out_shape, np.float32)
    if method == "reference":
        image, problem = image[..., :6, :9], replace(problem, shape=(2, 3, 6, 9), size=(6, 9), out_size=(6, 9))
        out = out[..., :6, :9].copy()
    _plan.Trained(problem).run(weights, biases, method, 2, image, out)
    for c in range(3):
        truth = oracle.exact(image[:, c], weights[c], padding="same", boundary="edge") + biases[c]
        room = 33 * 2.0**-24 * (np.abs(weights[c]).sum() * np.abs(image).max() + 2)
        assert np.abs(out[:, c] - truth).max() < room


def test_a_bank_of_large_spectra_goes_in_turns(monkeypatch):
    """Where their spectra would take too much memory, kernels are transformed some at a time: the same bits."""
    from corr2d.engines import transform

    image, weights, biases = pixels(5, 60, 61), dense(5, 21, 19), np.arange(5.0)
    problem = replace(corr2d.plan(image, weights[0], padding="same").problem, bank=5, trained=True)
    results = []
    for limit in (transform.SPECTRA, 1):
        monkeypatch.setattr(transform, "SPECTRA", limit)
        out = np.empty(problem.out_shape, np.float32)
        _plan.Trained(problem).run(weights, biases, "fft", 1, image, out)
        results.append(out)
    assert np.array_equal(*results)
