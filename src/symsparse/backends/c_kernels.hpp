// The products for PyTensor's C linker: what kernels/matmul.py and kernels/sampling.py do, in C++.
//
// A pattern (indices, indptr, n_minor) is read by major and minor axis. Operands come in any dtype and layout; they are
// brought to the dtype of the result and to C order first, so that sums are formed in that dtype. T is its C++ type:
// bool, an unsigned integer of the same width (the low bits of sums and products are the same, and overflow is
// defined), a float, or `cplx`.

namespace {
namespace symsparse {

// -- arithmetic ----------------------------------------------------------------------------------------------------

template <class R> struct cplx { R re, im; };

// 1u * keeps narrow integers from becoming signed ones, which must not overflow; a sum of bools becomes "any".
template <class T> inline void add_product(T &total, T a, T b) { total = (T)(total + 1u * a * b); }

template <class R> inline void add_product(cplx<R> &total, cplx<R> a, cplx<R> b) {
    total.re += a.re * b.re - a.im * b.im;
    total.im += a.re * b.im + a.im * b.re;
}

// -- the loops: alone in their functions, which keeps their variables in registers; they trust the pattern ---------

#define SYMSPARSE_LOOP __attribute__((noinline))

template <class I> SYMSPARSE_LOOP bool falls(const I *indptr, npy_intp n_major) {
    bool found = false;
    for (npy_intp r = 0; r < n_major; r++) found |= indptr[r] > indptr[r + 1];
    return found;
}

// A negative index is a huge unsigned one.
template <class U> SYMSPARSE_LOOP U largest(const U *indices, npy_intp nnz) {
    U found = 0;
    for (npy_intp k = 0; k < nnz; k++) found = indices[k] > found ? indices[k] : found;
    return found;
}

template <class T, class I>
SYMSPARSE_LOOP void gather_vector(const T *values, const I *indices, const I *indptr, npy_intp n_major, const T *x,
                                  T *out) {
    for (npy_intp r = 0; r < n_major; r++) {
        T total = T();
        for (npy_intp k = indptr[r]; k < indptr[r + 1]; k++) add_product(total, values[k], x[indices[k]]);
        out[r] = total;
    }
}

template <class T, class I>
SYMSPARSE_LOOP void scatter_vector(const T *values, const I *indices, const I *indptr, npy_intp n_major, const T *x,
                                   T *__restrict__ out) {
    for (npy_intp r = 0; r < n_major; r++) {
        const T factor = x[r];
        for (npy_intp k = indptr[r]; k < indptr[r + 1]; k++) add_product(out[indices[k]], values[k], factor);
    }
}

template <bool gather, class T, class I>
SYMSPARSE_LOOP void multiply_matrix(const T *values, const I *indices, const I *indptr, npy_intp n_major, const T *x,
                                    T *__restrict__ out, npy_intp width) {
    for (npy_intp r = 0; r < n_major; r++) {
        for (npy_intp k = indptr[r]; k < indptr[r + 1]; k++) {
            const npy_intp c = indices[k];
            const T factor = values[k];
            const T *from = x + (gather ? c : r) * width;
            T *__restrict__ to = out + (gather ? r : c) * width;
            for (npy_intp j = 0; j < width; j++) add_product(to[j], factor, from[j]);
        }
    }
}

template <class T, class I>
SYMSPARSE_LOOP void sample_product(const I *indices, const I *indptr, npy_intp n_major, const T *a, const T *b,
                                   npy_intp width, T *out) {
    for (npy_intp r = 0; r < n_major; r++) {
        const T *x = a + r * width;
        for (npy_intp k = indptr[r]; k < indptr[r + 1]; k++) {
            const T *y = b + (npy_intp)indices[k] * width;
            T total = T();
            for (npy_intp j = 0; j < width; j++) add_product(total, x[j], y[j]);
            out[k] = total;
        }
    }
}

// -- operands ------------------------------------------------------------------------------------------------------

// A reference that this function owns; NULL after an error.
struct Array {
    PyArrayObject *object;
    explicit Array(PyObject *x) : object((PyArrayObject *)x) {}
    Array(PyArrayObject *x, int type)  // x itself, or a copy of this type in C order
        : object((PyArrayObject *)PyArray_FromArray(x, PyArray_DescrFromType(type),
                                                    NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST)) {}
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
    ~Array() { Py_XDECREF(object); }
    npy_intp size(int axis) const { return PyArray_DIM(object, axis); }
    template <class S> S *data() const { return (S *)PyArray_DATA(object); }
    PyArrayObject *give() {
        PyArrayObject *x = object;
        object = NULL;
        return x;
    }
};

template <class I> struct unsigned_of;
template <> struct unsigned_of<npy_int32> { typedef npy_uint32 type; };
template <> struct unsigned_of<npy_int64> { typedef npy_uint64 type; };

// These ops also run on vectors that have passed no door, so a malformed pattern is an error here, not a wild read.
template <class I> struct Pattern {
    Array indices_array, indptr_array;
    const char *op;
    const I *indices, *indptr;
    npy_int64 n_minor;
    npy_intp n_major, nnz;

    static int type() { return sizeof(I) == 4 ? NPY_INT32 : NPY_INT64; }

    Pattern(const char *op, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor)
        : indices_array(indices_, type()), indptr_array(indptr_, type()), op(op), n_minor(n_minor) {}

    bool open() {
        if (!indices_array.object || !indptr_array.object) return false;
        indices = indices_array.template data<I>();
        indptr = indptr_array.template data<I>();
        nnz = indices_array.size(0);
        n_major = indptr_array.size(0) - 1;
        if (n_major < 0 || n_minor < 0 || indptr[0] != 0 || indptr[n_major] != nnz || falls(indptr, n_major)) {
            PyErr_Format(PyExc_ValueError, "%s: malformed pattern: indptr does not rise from 0 to the %zd stored entries",
                         op, (Py_ssize_t)nnz);
            return false;
        }
        typedef typename unsigned_of<I>::type U;
        const U last = largest((const U *)indices, nnz);
        if (nnz && (npy_uint64)last >= (npy_uint64)n_minor) {
            PyErr_Format(PyExc_ValueError, "%s: malformed pattern: index %lld is outside 0..%lld", op,
                         (long long)(I)last, (long long)n_minor - 1);
            return false;
        }
        return true;
    }
};

// -- the operations ------------------------------------------------------------------------------------------------

// csr @ x if `gather`, else csc @ x, for a dense vector or matrix x.
template <class T, class I>
PyArrayObject *dot_(const char *op, int type, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor,
                    PyArrayObject *values_, PyArrayObject *x_, bool gather) {
    Pattern<I> p(op, indices_, indptr_, n_minor);
    if (!p.open()) return NULL;
    const npy_int64 inner = gather ? n_minor : p.n_major;
    if (PyArray_DIM(x_, 0) != inner) {
        PyErr_Format(PyExc_ValueError, "%s: the inner sizes of the operands differ: %lld and %zd", op, (long long)inner,
                     (Py_ssize_t)PyArray_DIM(x_, 0));
        return NULL;
    }
    if (PyArray_DIM(values_, 0) != p.nnz) {
        PyErr_Format(PyExc_ValueError, "%s: %zd values, but %zd indices", op, (Py_ssize_t)PyArray_DIM(values_, 0),
                     (Py_ssize_t)p.nnz);
        return NULL;
    }
    const int rank = PyArray_NDIM(x_);
    npy_intp shape[2] = {gather ? p.n_major : (npy_intp)n_minor, rank == 2 ? PyArray_DIM(x_, 1) : 1};
    Array values_array(values_, type), x_array(x_, type), out_array(PyArray_ZEROS(rank, shape, type, 0));
    if (!values_array.object || !x_array.object || !out_array.object) return NULL;
    const T *values = values_array.template data<T>(), *x = x_array.template data<T>();
    T *out = out_array.template data<T>();
    if (shape[1] == 1 && gather) {
        gather_vector(values, p.indices, p.indptr, p.n_major, x, out);
    } else if (shape[1] == 1) {
        scatter_vector(values, p.indices, p.indptr, p.n_major, x, out);
    } else if (gather) {
        multiply_matrix<true>(values, p.indices, p.indptr, p.n_major, x, out, shape[1]);
    } else {
        multiply_matrix<false>(values, p.indices, p.indptr, p.n_major, x, out, shape[1]);
    }
    return out_array.give();
}

// a[major, :] . b[minor, :] for each stored entry.
template <class T, class I>
PyArrayObject *sddmm_(const char *op, int type, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor,
                      PyArrayObject *a_, PyArrayObject *b_) {
    Pattern<I> p(op, indices_, indptr_, n_minor);
    if (!p.open()) return NULL;
    const npy_intp *a_shape = PyArray_DIMS(a_), *b_shape = PyArray_DIMS(b_);
    if (a_shape[0] != p.n_major || b_shape[0] != n_minor || a_shape[1] != b_shape[1]) {
        PyErr_Format(PyExc_ValueError,
                     "%s: the shapes of the operands do not fit: a pattern of %zd slices of %lld, and dense matrices of "
                     "shapes (%zd, %zd) and (%zd, %zd)",
                     op, (Py_ssize_t)p.n_major, (long long)n_minor, (Py_ssize_t)a_shape[0], (Py_ssize_t)a_shape[1],
                     (Py_ssize_t)b_shape[0], (Py_ssize_t)b_shape[1]);
        return NULL;
    }
    Array a(a_, type), b(b_, type), out(PyArray_EMPTY(1, &p.nnz, type, 0));
    if (!a.object || !b.object || !out.object) return NULL;
    sample_product(p.indices, p.indptr, p.n_major, a.template data<T>(), b.template data<T>(), a_shape[1],
                   out.template data<T>());
    return out.give();
}

// Indices that are not all int32 are read as int64.
inline bool narrow(PyArrayObject *indices, PyArrayObject *indptr) {
    return PyArray_TYPE(indices) == NPY_INT32 && PyArray_TYPE(indptr) == NPY_INT32;
}

template <class T, class... Rest>
PyArrayObject *dot(const char *op, int type, PyArrayObject *indices, PyArrayObject *indptr, Rest... rest) {
    return narrow(indices, indptr) ? dot_<T, npy_int32>(op, type, indices, indptr, rest...)
                                   : dot_<T, npy_int64>(op, type, indices, indptr, rest...);
}

template <class T, class... Rest>
PyArrayObject *sddmm(const char *op, int type, PyArrayObject *indices, PyArrayObject *indptr, Rest... rest) {
    return narrow(indices, indptr) ? sddmm_<T, npy_int32>(op, type, indices, indptr, rest...)
                                   : sddmm_<T, npy_int64>(op, type, indices, indptr, rest...);
}

}  // namespace symsparse
}  // namespace
