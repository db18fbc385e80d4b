// The products for PyTensor's C linker: what kernels/matmul.py and kernels/sampling.py do, in C++.
//
// A pattern (indices, indptr, n_minor) is read by major and minor axis. Values come in any dtype and layout, and are
// brought to the dtype of the result first, so that sums are formed in it. Unlike the Numba kernels these trust
// nobody: a malformed pattern is an error here, not a wild read. T is bool, an unsigned integer of the width of the
// result's (the low bits of sums and products are the same, and overflow is defined), a float, or `cplx`.

namespace {
namespace symsparse {

template <class R> struct cplx { R re, im; };

// 1u * keeps narrow integers from becoming signed ones, which must not overflow; bool sums become "any".
template <class T> inline void add_product(T &total, T a, T b) { total = (T)(total + 1u * a * b); }

template <class R> inline void add_product(cplx<R> &total, cplx<R> a, cplx<R> b) {
    total.re += a.re * b.re - a.im * b.im;
    total.im += a.re * b.im + a.im * b.re;
}

// A reference that this function owns; NULL after an error.
struct Array {
    PyArrayObject *object;
    explicit Array(PyObject *x) : object((PyArrayObject *)x) {}
    Array(PyArrayObject *x, int type) {
        if (PyArray_TYPE(x) == type && PyArray_ISCARRAY_RO(x)) {
            Py_INCREF(x);
            object = x;
        } else {
            object = (PyArrayObject *)PyArray_FromArray(
                x, PyArray_DescrFromType(type), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
        }
    }
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

template <class I> struct Pattern {
    Array indices_array, indptr_array;
    const char *op;
    const I *indices, *indptr;
    npy_intp n_major, n_minor, nnz;

    static int type() { return sizeof(I) == 4 ? NPY_INT32 : NPY_INT64; }

    Pattern(const char *op, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor)
        : indices_array(indices_, type()), indptr_array(indptr_, type()), op(op), n_minor(n_minor) {}

    bool open() {
        if (!indices_array.object || !indptr_array.object) return false;
        indices = indices_array.data<I>();
        indptr = indptr_array.data<I>();
        nnz = indices_array.size(0);
        n_major = indptr_array.size(0) - 1;
        if (n_major >= 0 && n_minor >= 0 && indptr[0] == 0 && (npy_int64)indptr[n_major] == nnz) return true;
        PyErr_Format(PyExc_ValueError, "%s: malformed pattern: indptr does not lead from 0 to the %zd stored entries",
                     op, (Py_ssize_t)nnz);
        return false;
    }
    bool slice_is_legal(npy_intp r) const {
        if (indptr[r] <= indptr[r + 1] && indptr[r + 1] <= nnz) return true;
        PyErr_Format(PyExc_ValueError, "%s: malformed pattern: indptr decreases or is out of bounds at slice %zd", op,
                     (Py_ssize_t)r);
        return false;
    }
    bool is_inside(I c) const { return (npy_uint64)c < (npy_uint64)n_minor; }
    PyArrayObject *outside(I c) const {
        PyErr_Format(PyExc_ValueError, "%s: malformed pattern: index %lld is not within 0..%zd", op, (long long)c,
                     (Py_ssize_t)n_minor - 1);
        return NULL;
    }
};

// out[major, :] = sum values * x[minor, :] (gather), or out[minor, :] += values * x[major, :]. A vector is one column.
template <class T, class I>
PyArrayObject *dot_(const char *op, int type, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor,
                    PyArrayObject *values_, PyArrayObject *x_, bool gather) {
    Pattern<I> p(op, indices_, indptr_, n_minor);
    if (!p.open()) return NULL;
    Array values_array(values_, type), x_array(x_, type);
    if (!values_array.object || !x_array.object) return NULL;
    npy_intp inner = gather ? p.n_minor : p.n_major;
    if (x_array.size(0) != inner) {
        PyErr_Format(PyExc_ValueError, "%s: the inner sizes of the operands differ: %zd and %zd", op,
                     (Py_ssize_t)inner, (Py_ssize_t)x_array.size(0));
        return NULL;
    }
    if (values_array.size(0) != p.nnz) {
        PyErr_Format(PyExc_ValueError, "%s: %zd values, but %zd indices", op, (Py_ssize_t)values_array.size(0),
                     (Py_ssize_t)p.nnz);
        return NULL;
    }
    int rank = PyArray_NDIM(x_array.object);
    npy_intp shape[2] = {gather ? p.n_major : p.n_minor, rank == 2 ? x_array.size(1) : 1};
    Array out_array(PyArray_ZEROS(rank, shape, type, 0));
    if (!out_array.object) return NULL;
    const npy_intp width = shape[1];
    const T *values = values_array.data<T>(), *x = x_array.data<T>();
    T *out = out_array.data<T>();
    for (npy_intp r = 0; r < p.n_major; r++) {
        if (!p.slice_is_legal(r)) return NULL;
        const npy_intp stop = p.indptr[r + 1];
        if (width == 1) {
            T total = T();
            const T factor = gather ? total : x[r];
            for (npy_intp k = p.indptr[r]; k < stop; k++) {
                const I c = p.indices[k];
                if (!p.is_inside(c)) return p.outside(c);
                if (gather) {
                    add_product(total, values[k], x[c]);
                } else {
                    add_product(out[c], values[k], factor);
                }
            }
            if (gather) out[r] = total;
            continue;
        }
        for (npy_intp k = p.indptr[r]; k < stop; k++) {
            const I c = p.indices[k];
            if (!p.is_inside(c)) return p.outside(c);
            const T factor = values[k];
            T *__restrict__ to = out + (gather ? r : (npy_intp)c) * width;
            const T *__restrict__ from = x + (gather ? (npy_intp)c : r) * width;
            for (npy_intp j = 0; j < width; j++) add_product(to[j], factor, from[j]);
        }
    }
    return out_array.give();
}

// out = a[major, :] . b[minor, :] for each stored entry.
template <class T, class I>
PyArrayObject *sddmm_(const char *op, int type, PyArrayObject *indices_, PyArrayObject *indptr_, npy_int64 n_minor,
                      PyArrayObject *a_, PyArrayObject *b_) {
    Pattern<I> p(op, indices_, indptr_, n_minor);
    if (!p.open()) return NULL;
    if (PyArray_DIM(a_, 0) != p.n_major || PyArray_DIM(b_, 0) != p.n_minor || PyArray_DIM(a_, 1) != PyArray_DIM(b_, 1)) {
        PyErr_Format(PyExc_ValueError,
                     "%s: the shapes of the operands do not fit: a pattern of %zd slices of %zd, and dense matrices of "
                     "shapes (%zd, %zd) and (%zd, %zd)",
                     op, (Py_ssize_t)p.n_major, (Py_ssize_t)p.n_minor, (Py_ssize_t)PyArray_DIM(a_, 0),
                     (Py_ssize_t)PyArray_DIM(a_, 1), (Py_ssize_t)PyArray_DIM(b_, 0), (Py_ssize_t)PyArray_DIM(b_, 1));
        return NULL;
    }
    Array a_array(a_, type), b_array(b_, type);
    if (!a_array.object || !b_array.object) return NULL;
    Array out_array(PyArray_EMPTY(1, &p.nnz, type, 0));
    if (!out_array.object) return NULL;
    const npy_intp width = a_array.size(1);
    const T *a = a_array.data<T>(), *b = b_array.data<T>();
    T *out = out_array.data<T>();
    for (npy_intp r = 0; r < p.n_major; r++) {
        if (!p.slice_is_legal(r)) return NULL;
        const npy_intp stop = p.indptr[r + 1];
        for (npy_intp k = p.indptr[r]; k < stop; k++) {
            const I c = p.indices[k];
            if (!p.is_inside(c)) return p.outside(c);
            const T *x = a + r * width, *y = b + (npy_intp)c * width;
            T total = T();
            for (npy_intp j = 0; j < width; j++) add_product(total, x[j], y[j]);
            out[k] = total;
        }
    }
    return out_array.give();
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
