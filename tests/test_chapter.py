"""The chapter's own cells, with the outputs printed there (the layer's cells come with corr2d.nn)."""

import pytest

import corr2d

torch = pytest.importorskip("torch")


@pytest.fixture
def edges():
    """The chapter's black bar: ones, with zeros in columns 2 to 5."""
    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    return X


@pytest.fixture
def k():
    """The chapter's edge detector, of integers."""
    return torch.tensor([[1, -1]])


def printed(tensor):
    """What a notebook shows for the tensor."""
    return repr(tensor)


def test_the_first_example():
    """arange(9) with arange(4), integer tensors: float32 comes out, as printed."""
    X = torch.arange(9).reshape(3, 3)
    kernel = torch.arange(4).reshape(2, 2)
    assert printed(corr2d.corr2d(X, kernel)) == "tensor([[19., 25.],\n        [37., 43.]])"
    assert corr2d.corr2d(X, kernel).shape == torch.Size([2, 2])


def test_the_first_example_in_floats():
    """The same with the chapter's float32 image."""
    X = torch.arange(9, dtype=torch.float32).reshape(3, 3)
    assert corr2d.corr2d(X, torch.arange(4).reshape(2, 2)).tolist() == [[19, 25], [37, 43]]


def test_edges(edges, k):
    """[1, -1] finds the bar: 1 where white turns black, -1 where black turns white."""
    Y = corr2d.corr2d(edges, k)
    row = "[ 0.,  1.,  0.,  0.,  0., -1.,  0.]"
    assert Y.shape == torch.Size([6, 7])
    assert printed(Y) == "tensor([" + ",\n        ".join([row] * 6) + "])"


def test_the_transposed_image_has_no_such_edges(edges, k):
    """X.t() with k: all zeros, of shape (8, 5)."""
    row = "[0., 0., 0., 0., 0.]"
    assert printed(corr2d.corr2d(edges.t(), k)) == "tensor([" + ",\n        ".join([row] * 8) + "])"


def test_the_transposed_kernel_finds_no_such_edges(edges, k):
    """X with k.t(): all zeros, of shape (5, 8)."""
    row = "[0., 0., 0., 0., 0., 0., 0., 0.]"
    assert printed(corr2d.corr2d(edges, k.t())) == "tensor([" + ",\n        ".join([row] * 5) + "])"


def diagonal(rows, columns, below):
    """1 on the diagonal and -1 beside it, as the exercise prints it."""
    table = [[1 if x == y else -1 if x - y == below else 0 for x in range(columns)] for y in range(rows)]
    text = ("[" + ", ".join(f"{v:2d}." for v in line) + "]" for line in table)
    return "tensor([" + ",\n        ".join(text) + "])"


def test_diagonal_exercise(k):
    """A diagonal edge: X and X.t() give the same, k.t() gives it along the other axis."""
    X = torch.eye(8, dtype=torch.int64)
    assert printed(corr2d.corr2d(X, k)) == diagonal(8, 7, -1)
    assert printed(corr2d.corr2d(X.t(), k)) == diagonal(8, 7, -1)
    assert printed(corr2d.corr2d(X, k.t())) == diagonal(7, 8, 1)


def test_flipping_one_row_changes_nothing(k):
    """torch.flip(k, [0]) of a one-row kernel is the kernel."""
    assert printed(torch.flip(k, [0])) == "tensor([[ 1, -1]])"
    X = torch.eye(8)
    assert torch.equal(corr2d.corr2d(X, torch.flip(k, [0])), corr2d.corr2d(X, k))


def test_convolution_turns_the_edge_detector(edges, k):
    """The chapter's remark: convolving is correlating with the kernel turned."""
    assert torch.equal(corr2d.convolve2d(edges, k), corr2d.corr2d(edges, torch.flip(k, [0, 1])))
    assert torch.equal(corr2d.convolve2d(edges, k), -corr2d.corr2d(edges, k))


def test_the_chapters_own_loop_agrees():
    """The chapter's corr2d, as written there, on random tensors."""

    def chapter(X, k):
        kh, kw = k.shape
        Y = torch.zeros((X.shape[0] - kh + 1), (X.shape[1] - kw + 1))
        for h in range(Y.shape[0]):
            for w in range(Y.shape[1]):
                Y[h, w] = (X[h : h + kh, w : w + kw] * k).sum()
        return Y

    generator = torch.Generator().manual_seed(1)
    X, kernel = torch.rand(9, 11, generator=generator), torch.rand(3, 4, generator=generator)
    torch.testing.assert_close(corr2d.corr2d(X, kernel), chapter(X, kernel))
