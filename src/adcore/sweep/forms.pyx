"""Forms: arguments and their shadows taken apart in one pass, where their containers are those of an earlier call.

A `Form` is made from arguments that ``adcore.shadows`` has looked at piece by piece. A later call whose arguments have the same
containers is taken apart here, and all that a shadow must be is checked on the way; arrays may have other shapes, floats
other values. "No" means that a slower look is needed, which finds the words, not that something is wrong.
"""

cimport numpy as cnp
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.sequence cimport PySequence_GetItem

import contextlib

import numpy as np

from adcore import errors, trees
from adcore.sweep.boundary cimport FITS, apart, fault, is_float, shared_pair

cnp.import_array()

cdef enum Kind:
    LEAF = 0
    SEQUENCE = 1
    DICT = 2
    FIELDS = 3              # a dataclass, an attrs class
    STRUCTURED = 4          # a structured array

cdef tuple NUMBERS = (float, np.float64)
cdef tuple PLAIN = (int, str, bool)
cdef tuple CONTAINERS = (list, tuple, dict, np.ndarray)     # that hold nothing but their parts


cdef class Piece:
    """A part of an argument: a leaf, or a container and its parts."""

    cdef int kind
    cdef object type_           # None of leaves that always need a slower look
    cdef object dtype           # of a structured array
    cdef list names             # what selects the parts
    cdef list parts
    cdef bint settable          # can a float in it be replaced?

    def __init__(self, tree):
        self.type_ = type(tree)
        if not trees.is_branch(tree):
            self.kind = LEAF
            if isinstance(tree, (np.ndarray, np.floating)) or trees.may_hold_memory(tree):
                self.type_ = None
            return
        self.names = trees.keys(tree)
        self.settable = trees.settable(tree)
        if isinstance(tree, dict):
            self.kind = DICT
        elif tree is None or isinstance(tree, (list, tuple)):
            self.kind = SEQUENCE
        elif isinstance(tree, np.ndarray):
            self.kind = STRUCTURED
            self.dtype = tree.dtype
        else:
            self.kind = FIELDS
        self.parts = [Piece(part) for _, part in trees.parts(tree)]

    cdef bint is_like(self, object tree) except -1:
        """Is it the same kind of container with the same names?"""
        cdef Py_ssize_t k
        if type(tree) is not self.type_ or (type(tree) not in CONTAINERS and trees.beside(tree) is not None):
            return False
        if self.kind == SEQUENCE:
            return tree is None or len(tree) == len(self.parts)
        if self.kind == STRUCTURED:
            return tree.dtype == self.dtype
        if self.kind == DICT:
            if len(tree) != len(self.names):
                return False
            for k, key in enumerate(tree):
                if key is not self.names[k] and not (type(key) is type(self.names[k]) and key == self.names[k]):
                    return False
        return True

    cdef object part(self, object tree, Py_ssize_t k):
        """Part k of a container, which may have changed since it was looked at."""
        cdef PyObject *found
        if self.kind == SEQUENCE:
            return PySequence_GetItem(tree, k)
        if self.kind == FIELDS:
            return getattr(tree, self.names[k])
        if self.kind == DICT and type(tree) is dict:
            found = PyDict_GetItem(tree, self.names[k])
            if found == NULL:
                raise KeyError(self.names[k])
            return <object>found
        return tree[self.names[k]]


cdef class Taken:
    """The arguments of one call, taken apart.

    Attributes
    ----------
    leaves : list
        Of the arguments, without their shadows.
    shadows : list
        Of the float leaves: by argument, direction and leaf.
    places : list of (container, name) or None
        Where a shadow stands that is a float, not an array.
    """

    cdef readonly list leaves, shadows, places
    cdef list written, read, containers
    cdef bint read_only         # are floats among the shadows read only?

    def __init__(self, leaves=(), shadows=(), places=()):
        self.leaves = list(leaves)
        self.shadows = list(shadows)
        self.places = list(places)
        self.written = []
        self.read = []
        self.containers = []

    cdef bint primal(self, Piece piece, object x) except -1:
        """Take the leaves of an argument; False when it is not what it was."""
        cdef Py_ssize_t k
        if piece.kind != LEAF:
            if not piece.is_like(x):
                return False
            if piece.kind == STRUCTURED:
                self.read.append(x)
            elif x is not None:
                self.containers.append(x)
            for k in range(len(piece.parts)):
                if not self.primal(<Piece>piece.parts[k], piece.part(x, k)):
                    return False
            return True
        if type(x) is cnp.ndarray:
            if cnp.PyArray_HASFIELDS(x) or cnp.PyArray_TYPE(x) == cnp.NPY_OBJECT:
                return False
            self.read.append(x)
        elif type(x) not in NUMBERS and type(x) not in PLAIN and type(x) is not piece.type_:
            return False
        self.leaves.append(x)
        return True

    cdef bint shadow(self, Piece piece, object primal, object x, tuple place, bint settable, bint owned, Py_ssize_t lead) except -1:
        """Take the float leaves of a shadow; False when something about it needs a slower look."""
        cdef Py_ssize_t k
        cdef object part
        if piece.kind != LEAF:
            if piece.kind == DICT:
                if type(x) is not piece.type_ or len(x) != len(piece.names):
                    return False
                for key in piece.names:
                    if key not in x:
                        return False
            elif not piece.is_like(x):
                return False
            if piece.kind == STRUCTURED:
                if not owned:
                    self.written.append(x)
                owned = True
            for k in range(len(piece.parts)):
                part = piece.part(x, k)
                where = (x, piece.names[k]) if type(part) in NUMBERS else None
                if not self.shadow(<Piece>piece.parts[k], piece.part(primal, k), part, where, piece.settable, owned, lead):
                    return False
            return True
        if type(primal) is cnp.ndarray:
            if not is_float(primal):
                return same_form(primal, x)
            if fault(primal, x, lead) != FITS:
                return False
            if not owned:
                self.written.append(x)
            self.shadows.append(x)
            self.places.append(None)
            return True
        if type(primal) in NUMBERS:
            if type(x) not in NUMBERS or not (settable or self.read_only) or lead:
                return False
            self.shadows.append(x)
            self.places.append(place)
            return True
        return x is primal or (type(x) is type(primal) and type(x) in PLAIN and x == primal)

    cdef bint disjoint(self) except -1:
        """Does no shadow share its memory, or the container of a float, with anything else?"""
        cdef set seen
        if shared_pair(self.written, self.read) is not None:
            return False
        seen = None
        for place in self.places:
            if place is not None:
                if seen is None:
                    seen = {id(container) for container in self.containers}
                container, name = place
                if id(container) in seen or (id(container), name) in seen:
                    return False
                seen.add((id(container), name))
        return True

    def write(self, tuple contents, bytes adds, list targets, list values):
        """Contents into the shadows, or added to what they hold now; None leaves one as it is. Values into arrays that f overwrites.

        Nothing is written when one of them is no longer what it was before the call, or a container does not take its float.
        Arrays come last, since writing them cannot fail.
        """
        cdef Py_ssize_t k
        cdef bint floats = False
        for k in range(len(self.shadows)):
            if contents[k] is not None:
                if self.places[k] is None:
                    check_kept(self.shadows[k], contents[k], True)
                else:
                    floats = True
        for k in range(len(targets)):
            check_kept(targets[k], values[k], False)
        if floats:
            self.write_floats(contents, adds)
        for k in range(len(self.shadows)):
            if contents[k] is not None and self.places[k] is None:
                if adds[k]:
                    add_into(self.shadows[k], contents[k])
                else:
                    copy_into(self.shadows[k], contents[k])
        for k in range(len(targets)):
            copy_into(targets[k], values[k])

    cdef int write_floats(self, tuple contents, bytes adds) except -1:
        """The floats that stand in containers, all or none: a container is the user's and may refuse."""
        cdef Py_ssize_t k
        cdef list done = []
        try:
            for k in range(len(self.shadows)):
                if contents[k] is None or self.places[k] is None:
                    continue
                container, name = self.places[k]
                old = held(container, name)
                if not isinstance(old, (float, np.floating)):
                    raise errors.ShadowError(
                        f"the float at {name!r} was taken away while its derivative was computed: nothing has been written"
                    )
                new = float(old + contents[k]) if adds[k] else float(contents[k])
                done.append((container, name, old))
                put(container, name, new)
                now = held(container, name)
                if now != new and new == new:
                    raise errors.ShadowError(
                        f"a {type(container).__name__} holds {now!r} at {name!r} after {new!r} was written: nothing has been written"
                    )
        except BaseException:
            for container, name, old in reversed(done):
                with contextlib.suppress(Exception):  # the one that refused the new value has kept the old one
                    put(container, name, old)
            raise
        return 0


cdef object held(object container, object name):
    """What stands there now; None where the place is gone."""
    try:
        return container[name] if isinstance(container, (dict, list)) else getattr(container, name)
    except (IndexError, KeyError, AttributeError):
        return None


cdef int put(object container, object name, object value) except -1:
    if isinstance(container, (dict, list)):
        container[name] = value
    else:
        setattr(container, name, value)
    return 0


cdef bint same_form(object primal, object shadow) except -1:
    """Has the shadow of an array without a derivative its dtype and shape?"""
    cdef int k, code = cnp.PyArray_TYPE(primal)
    if type(shadow) is not cnp.ndarray or not (cnp.PyTypeNum_ISINTEGER(code) or cnp.PyTypeNum_ISBOOL(code)):
        return False
    if cnp.PyArray_TYPE(shadow) != code or not cnp.PyArray_ISNOTSWAPPED(shadow) or not cnp.PyArray_ISNOTSWAPPED(primal):
        return False
    if cnp.PyArray_NDIM(shadow) != cnp.PyArray_NDIM(primal):
        return False
    for k in range(cnp.PyArray_NDIM(primal)):
        if cnp.PyArray_DIM(shadow, k) != cnp.PyArray_DIM(primal, k):
            return False
    return True


cdef int check_kept(object target, object content, bint shadow) except -1:
    """Raise when an array cannot take what was computed for it: somebody changed it since the call began."""
    cdef int k
    cdef bint fits = type(content) is cnp.ndarray and cnp.PyArray_NDIM(target) == cnp.PyArray_NDIM(content)
    if fits:
        for k in range(cnp.PyArray_NDIM(target)):
            fits &= cnp.PyArray_DIM(target, k) == cnp.PyArray_DIM(content, k)
    if not fits and target.shape != np.shape(content):
        raise errors.ShadowError(
            f"an array of shape {np.shape(content)} was given a shape of {target.shape} while its derivative was computed: "
            "nothing has been written"
        )
    if not cnp.PyArray_ISWRITEABLE(target):
        raise errors.ShadowError("an array was made read-only while its derivative was computed: nothing has been written")
    # single and double may meet: a float cannot have become the other without another shape
    if type(content) is cnp.ndarray:
        fits = cnp.PyArray_TYPE(target) == cnp.PyArray_TYPE(content) or (is_float(target) and is_float(content))
    else:
        fits = True
    if shadow:
        fits = fits and is_float(target) and cnp.PyArray_ISNOTSWAPPED(target) and cnp.PyArray_ISALIGNED(target)
    if not (fits and apart(target)):
        raise errors.ShadowError("an array was given another dtype or strides while its derivative was computed: nothing has been written")
    return 0


ctypedef fused real:
    float
    double


cdef void add_strided(real *target, const real *content, int n, const cnp.npy_intp *dims, const cnp.npy_intp *to,
                      const cnp.npy_intp *by) noexcept:
    """target += content, over n dimensions with strides in bytes."""
    cdef cnp.npy_intp k
    if n == 0:
        target[0] += content[0]
        return
    if n == 1 and to[0] == sizeof(real) and by[0] == sizeof(real):
        for k in range(dims[0]):
            target[k] += content[k]
        return
    for k in range(dims[0]):
        add_strided(
            <real *>(<char *>target + k * to[0]), <const real *>(<const char *>content + k * by[0]), n - 1, dims + 1, to + 1, by + 1
        )


cdef int add_into(object target, object content) except -1:
    """target += content while the GIL is held: what other threads add to it is not lost."""
    cdef cnp.npy_intp[1] size
    cdef cnp.npy_intp[1] one
    cdef int n = cnp.PyArray_NDIM(target)
    if type(content) is not cnp.ndarray or cnp.PyArray_TYPE(content) != cnp.PyArray_TYPE(target):
        target[...] = target + content
        return 0
    cdef const cnp.npy_intp *dims = cnp.PyArray_DIMS(target)
    cdef const cnp.npy_intp *to = cnp.PyArray_STRIDES(target)
    cdef const cnp.npy_intp *by = cnp.PyArray_STRIDES(content)
    if cnp.PyArray_IS_C_CONTIGUOUS(target) and cnp.PyArray_IS_C_CONTIGUOUS(content):
        size[0] = cnp.PyArray_SIZE(target)
        one[0] = cnp.PyArray_ITEMSIZE(target)
        n, dims, to, by = 1, &size[0], &one[0], &one[0]
    if cnp.PyArray_TYPE(target) == cnp.NPY_DOUBLE:
        add_strided(<double *>cnp.PyArray_DATA(target), <const double *>cnp.PyArray_DATA(content), n, dims, to, by)
    else:
        add_strided(<float *>cnp.PyArray_DATA(target), <const float *>cnp.PyArray_DATA(content), n, dims, to, by)
    return 0


cdef int copy_into(object target, object content) except -1:
    if type(content) is cnp.ndarray:
        cnp.PyArray_CopyInto(target, content)
    else:
        target[...] = content
    return 0


cdef class Form:
    """The containers of the arguments of a call.

    Parameters
    ----------
    primals : sequence
        The arguments without their shadows.
    counts : sequence of int
        How many shadows follow each.
    active : sequence of bool
        Which of them are floats whose derivatives are returned.
    leads : sequence of int
        The length of the further first axis of each one's shadow, 0 where there is none.
    reverse : bool
        Are shadows written, those that are floats too?
    """

    cdef list pieces
    cdef tuple counts, active, leads
    cdef bint reverse

    def __init__(self, primals, counts, active, leads, bint reverse):
        self.pieces = [Piece(x) for x in primals]
        self.counts = tuple(counts)
        self.active = tuple(active)
        self.leads = tuple(leads)
        self.reverse = reverse

    def taken(self, tuple args, bint overlaps):
        """The arguments taken apart, or None when they are not of this form or need a slower look.

        With ``overlaps`` shared memory is looked for as well.
        """
        cdef Taken taken = Taken()
        cdef Py_ssize_t k, j, at = 0
        cdef Piece piece
        cdef object primal
        taken.read_only = not self.reverse
        for k in range(len(self.pieces)):
            piece = self.pieces[k]
            if at + 1 + <Py_ssize_t>self.counts[k] > len(args):
                return None
            primal = args[at]
            if self.active[k] and type(primal) not in NUMBERS:
                return None
            if not taken.primal(piece, primal):
                return None
            if self.counts[k] and piece.kind == LEAF:
                if not (type(primal) is cnp.ndarray and is_float(primal)) and (self.reverse or type(primal) not in NUMBERS):
                    return None
            for j in range(<Py_ssize_t>self.counts[k]):
                if not taken.shadow(piece, primal, args[at + 1 + j], None, True, False, self.leads[k]):
                    return None
            at += 1 + self.counts[k]
        if at != len(args) or (overlaps and not taken.disjoint()):
            return None
        return taken
