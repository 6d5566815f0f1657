// The chapter "Convolutions for images" and its exercises as states of the page, in English and Simplified Chinese.

/**
 * @typedef {object} Step
 * @property {{en: string, zh: string}} title
 * @property {{en: string[], zh: string[]}} text
 * @property {string} picture
 * @property {number[][]} kernel
 * @property {string} [name]
 * @property {Partial<import("./correlate.mjs").Options>} [options]  default: valid, as in the chapter
 * @property {[number, number]} pixel
 * @property {"matrix" | "learn"} [extra]
 */

/** @type {Step[]} */
export const STEPS = [
  {
    title: { en: "Cross-correlation", zh: "互相关运算" },
    text: {
      en: [
        "A 2 × 2 kernel lies on the top left corner of a 3 × 3 picture. What lies on each other is multiplied, and the products are added: 0·0 + 1·1 + 3·2 + 4·3 = 19. Then the window moves on.",
        "Move over the output, or use the arrow keys on it, to see each sum. The output is smaller than the picture: 3 − 2 + 1 = 2 rows and columns.",
      ],
      zh: [
        "2 × 2 的卷积核先放在 3 × 3 图像的左上角。重叠的元素相乘，再把乘积相加：0·0 + 1·1 + 3·2 + 4·3 = 19。然后窗口继续移动。",
        "把指针移到输出上，或在输出上使用方向键，就能看到每个和是怎样算出来的。输出比图像小：3 − 2 + 1 = 2 行、2 列。",
      ],
    },
    picture: "made:count", kernel: [[0, 1], [2, 3]], pixel: [0, 0],
  },
  {
    title: { en: "Edges", zh: "边缘检测" },
    text: {
      en: [
        "A 6 × 8 picture of ones, with zeros in the four columns in the middle. The kernel [1, −1] subtracts the right neighbour from each pixel.",
        "Where both are equal the output is 0. From one to zero it is 1, from zero to one it is −1: the kernel finds vertical edges, and says which way they go.",
      ],
      zh: [
        "一张 6 × 8 的图像，全为 1，中间四列为 0。卷积核 [1, −1] 用每个像素减去它右边的邻居。",
        "两者相等时输出为 0；从 1 到 0 输出 1，从 0 到 1 输出 −1：它能找到垂直边缘，并指出边缘的方向。",
      ],
    },
    picture: "made:edge", kernel: [[1, -1]], pixel: [2, 1],
  },
  {
    title: { en: "The picture transposed", zh: "图像转置" },
    text: {
      en: ["Now the edges are horizontal. Along a row nothing changes, and the same kernel answers 0 everywhere: it sees vertical edges only."],
      zh: ["现在边缘是水平的。沿着行没有变化，同一个卷积核处处输出 0：它只能看到垂直边缘。"],
    },
    picture: "made:edge-turned", kernel: [[1, -1]], pixel: [2, 3],
  },
  {
    title: { en: "The kernel transposed", zh: "卷积核转置" },
    text: {
      en: ["The first picture again, and the kernel as a column: it compares each pixel with the one below, and finds no difference either. Choose “edges transposed” as the picture, and it does."],
      zh: ["仍是第一张图像，但卷积核变成一列：它把每个像素与下面的像素比较，也没有差别。把图像换成 “edges transposed”，它就能找到边缘。"],
    },
    picture: "made:edge", kernel: [[1], [-1]], pixel: [2, 3],
  },
  {
    title: { en: "A layer", zh: "卷积层" },
    text: {
      en: [
        "A convolutional layer is this operation with weights that are learnt, and a constant that is added. Before it has learnt anything its weights are random, and so is what it finds.",
        "In Python: corr2d.nn.Conv2D((1, 2)).",
      ],
      zh: ["卷积层就是这个运算，只是权重由学习得到，再加上一个常数（偏置）。学习之前，权重是随机的，结果也是随机的。", "在 Python 中：corr2d.nn.Conv2D((1, 2))。"],
    },
    picture: "made:edge", kernel: [[0.36, 0.81]], pixel: [2, 1],
  },
  {
    title: { en: "Learning the kernel", zh: "学习卷积核" },
    text: {
      en: [
        "Both pictures are known, the kernel is not. Press “Descend” below: twenty steps of gradient descent with rate 0.03 on the sum of squared errors, as in the chapter. The weights go to [1, −1].",
        "Why 0.03? For these pictures the steps stay together below 1/30, and run away above. Try 0.034. “Find the kernel at once” solves the same problem without steps, and says how sure it is.",
      ],
      zh: [
        "两张图像已知，卷积核未知。点击下面的“下降”：对误差平方和做二十步梯度下降，学习率 0.03，与书中一致。权重会趋向 [1, −1]。",
        "为什么是 0.03？对这两张图像，学习率低于 1/30 时收敛，高于它就发散，可以试试 0.034。“直接求出卷积核”不用迭代就能解同一个问题，并给出误差范围。",
      ],
    },
    picture: "made:edge", kernel: [[1, -1]], pixel: [2, 1], extra: "learn",
  },
  {
    title: { en: "Exercise 1: diagonal edges", zh: "练习 1：对角线边缘" },
    text: {
      en: [
        "A picture with a diagonal of ones. [1, −1] finds both sides of it: 1 on the diagonal, −1 before it.",
        "Transposing this picture changes nothing, as a diagonal is its own mirror image. So the output stays the same, too.",
      ],
      zh: ["图像的对角线为 1。[1, −1] 能找到它的两侧：对角线上是 1，它前面是 −1。", "转置这张图像没有任何变化，因为对角矩阵与自己的转置相同，所以输出也不变。"],
    },
    picture: "made:diagonal", kernel: [[1, -1]], pixel: [3, 3],
  },
  {
    title: { en: "Exercise 1: the kernel transposed", zh: "练习 1：转置卷积核" },
    text: {
      en: ["With the kernel as a column the output is transposed: 7 × 8 instead of 8 × 7, with −1 above the diagonal. A correlation and a transposition can be swapped if both the picture and the kernel are transposed."],
      zh: ["卷积核变成一列后，输出也被转置：由 8 × 7 变为 7 × 8，−1 在对角线上方。只要图像和卷积核同时转置，互相关与转置就可以交换顺序。"],
    },
    picture: "made:diagonal", kernel: [[1], [-1]], pixel: [3, 3],
  },
  {
    title: { en: "Exercise 2: the error of one's own layer", zh: "练习 2：自定义层的报错" },
    text: {
      en: [
        "The chapter's own class learns from the two-dimensional pictures without an error. The error comes with the four axes that nn.Conv2d wants, (1, 1, 6, 8): the loops take the first two axes for rows and columns, and the output is 1 × 0.",
        "PyTorch then says: The size of tensor a (0) must match the size of tensor b (7) at non-singleton dimension 3. corr2d.nn.Conv2D takes both forms.",
      ],
      zh: [
        "书中的类在二维图像上训练不会报错。错误出现在 nn.Conv2d 要求的四个轴 (1, 1, 6, 8) 上：循环把前两个轴当作行和列，输出成了 1 × 0。",
        "PyTorch 于是报错：The size of tensor a (0) must match the size of tensor b (7) at non-singleton dimension 3。corr2d.nn.Conv2D 两种形式都接受。",
      ],
    },
    picture: "made:edge", kernel: [[1, -1]], pixel: [2, 5],
  },
  {
    title: { en: "Exercise 3: a product with a matrix", zh: "练习 3：表示为矩阵乘法" },
    text: {
      en: [
        "Write the picture as one long column. Each output is then a row of weights times this column, and all rows together are a matrix: the kernel's weights, moved on by one, and zeros.",
        "The row of the output that you point at is marked. In Python: corr2d.as_matrix(kernel, (3, 3)).",
      ],
      zh: [
        "把图像写成一个长列向量。每个输出就是一行权重与这个列向量的乘积，所有行合起来是一个矩阵：卷积核的权重逐行平移，其余为零。",
        "所指输出对应的那一行会被标出。在 Python 中：corr2d.as_matrix(kernel, (3, 3))。",
      ],
    },
    picture: "made:count", kernel: [[0, 1], [2, 3]], pixel: [0, 0], extra: "matrix",
  },
  {
    title: { en: "Exercise 4: a second derivative", zh: "练习 4：二阶导数" },
    text: {
      en: ["[1, −2, 1] is the difference of two differences. On x², whose second derivative is 2, it answers 2 at every pixel, exactly; on a straight slope it answers 0."],
      zh: ["[1, −2, 1] 是差分的差分。x² 的二阶导数是 2，它在每个像素上都精确地输出 2；在直线斜坡上输出 0。"],
    },
    picture: "made:parabola", kernel: [[1, -2, 1]], pixel: [4, 7],
  },
  {
    title: { en: "Exercise 4: an integral", zh: "练习 4：积分" },
    text: {
      en: ["Ones in a row add up what they cover: an integral over five pixels, by the rectangle rule. Divided by five it would be their mean, a blur. Both are the same operation; only the scale differs."],
      zh: ["一行 1 把覆盖的像素加起来：这是用矩形法对五个像素求积分。除以五就是平均值，也就是模糊。两者是同一运算，只差一个比例。"],
    },
    picture: "made:edge", kernel: [[1, 1, 1, 1, 1]], pixel: [2, 1],
  },
  {
    title: { en: "Exercise 4: the smallest kernel for a derivative", zh: "练习 4：最小的导数核" },
    text: {
      en: [
        "A derivative of order d must answer 0 to 1, x, … x^(d−1), and d! to x^d. These are d + 1 conditions, so d + 1 taps are needed, and they are enough: the binomial numbers with alternating signs.",
        "Here d = 3. On x² it answers 0. In Python: corr2d.kernels.smallest_derivative(3).",
      ],
      zh: [
        "d 阶导数对 1、x、…、x^(d−1) 必须输出 0，对 x^d 输出 d!。这是 d + 1 个条件，所以至少需要 d + 1 个权重，而且足够：符号交替的二项式系数。",
        "这里 d = 3，作用于 x² 输出 0。在 Python 中：corr2d.kernels.smallest_derivative(3)。",
      ],
    },
    picture: "made:parabola", kernel: [[-1, 3, -3, 1]], pixel: [4, 6],
  },
  {
    title: { en: "On a photograph", zh: "在照片上" },
    text: {
      en: ["The same arithmetic on a quarter of a million pixels. Sobel's kernel is a difference along x, and a little blur along y. Zoom in until you see the numbers; then change any weight."],
      zh: ["同样的运算，作用在二十多万个像素上。Sobel 核沿 x 方向求差分，沿 y 方向稍作平滑。放大直到看见数字，然后随意修改权重。"],
    },
    picture: "0", kernel: [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], name: "sobel-x", options: { padding: "same", boundary: "reflect" }, pixel: [120, 250],
  },
];
