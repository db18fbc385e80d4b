"""The contenders. A module has `start(threads)`, and `BUILD`: for each contender, its kernels.

A kernel takes the operands and gives a function without arguments to be timed. `plain` turns what that returns into a
tuple of NumPy arrays and SciPy matrices. A kernel that is not there is an operation that the contender does not have.
"""

# contender: module, and the project to install
CONTENDERS = {
    "scipy": ("scipy_", "scipy"),
    "symsparse": ("symsparse_", "symsparse"),
    "symsparse frozen": ("symsparse_", "symsparse"),
    "pytensor.sparse": ("pytensor_sparse", "pytensor"),
    "torch": ("torch_", "torch"),
    "torch by hand": ("torch_", "torch"),
    "mkl": ("mkl_", "sparse_dot_mkl mkl"),
    "mkl handles": ("mkl_handles", "mkl"),
    "mkl handles, allocating": ("mkl_handles", "mkl"),
    "jax": ("jax_", "jax"),
    "graphblas": ("graphblas_", "python-graphblas"),
}
VARIANTS = ("torch by hand", "mkl handles, allocating")  # shown, but no peers in the targets
OURS = ("symsparse", "symsparse frozen", "symsparse, 1 thread")
