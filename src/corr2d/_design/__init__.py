"""Where kernels are designed, a file for each idea; `corr2d.kernels` is the door.

``exact.py``        coefficients in fractions: finite differences, quadrature, least squares
``derivatives.py``  differences of any order, accuracy and direction; Laplacians
``edges.py``        the operators with people's names, compass masks
``smoothing.py``    box, binomial, Gaussian, Savitzky-Golay, integrals
``bands.py``        LoG, DoG, Gabor
``contrast.py``     sharpening, unsharp masking, embossing
``resampling.py``   identity, shifts, Lanczos
``optics.py``       defocus, motion, Moffat, Airy
``checks.py``       what all of them ask of their arguments
"""
