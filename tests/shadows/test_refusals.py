"""Every way we know for a shadow to be wrong: refused by an error that says where and why, with no byte changed."""

import array
import collections
import copy
import dataclasses
import enum
import re
import types

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import adcore
from adcore import Active, Const, Dual, Dualv, Duplicated, autodiff, errors

Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray


@dataclasses.dataclass
class OtherLayer:
    w: np.ndarray
    b: np.ndarray


@dataclasses.dataclass(frozen=True)
class Frozen:
    s: float
    w: np.ndarray


class Shape(enum.Enum):
    ROUND = 1
    SQUARE = 2


class Attrs(types.SimpleNamespace):
    __attrs_attrs__ = (types.SimpleNamespace(name="w"),)


POINT = np.dtype([("x", "f8"), ("n", "i8")])
UNION = np.dtype({"names": ["x", "y"], "formats": ["f8", "f8"], "offsets": [0, 4], "itemsize": 16})
PACKED = np.dtype([("tag", "i1"), ("x", "f8")])


def a(*shape, dtype=float):
    return np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def frozen(x):
    x.flags.writeable = False
    return x


def misaligned(n):
    return np.zeros(8 * n + 1, np.uint8)[1:].view(float)


def read(x, *rest):
    """Reads every float there is."""
    return sum(np.sum(leaf) for leaf in floats((x, rest)))


def floats(x):
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in floats(part)]
    if isinstance(x, dict):
        return floats(list(x.values()))
    if dataclasses.is_dataclass(x):
        return floats([getattr(x, f.name) for f in dataclasses.fields(x)])
    return [x] if isinstance(x, float) or str(getattr(x, "dtype", "")) == "float64" else []


def write(x, out):
    out[...] = x**2


CASES = []


def wrong(name, message, *args, f=read, mode="reverse", activities=None, ret="default", **options):
    """Register one way to be wrong: arguments of a derivative whose error must match."""
    CASES.append(pytest.param(message, args, f, mode, activities, ret, options, id=name))


# -- one array ---------------------------------------------------------------------------------
wrong("None for an array", "shadow of x is None, the argument is an array", a(3), None)
wrong("a list for an array", "is a list, the argument is an array", a(3), [0.0, 0.0, 0.0])
wrong("a float for an array", "is a float, the argument is an array", a(3), 0.0)
wrong("bytes for an array", "is a bytearray", a(3), bytearray(24))
wrong("array.array", r"is an array, the argument is an array|is an? \w+", a(3), array.array("d", [0, 0, 0]))
wrong("an array for a list", "is an? ndarray, the argument is a list", [a(3)], a(1, 3))
wrong("too short", r"shape \(2,\), it should have \(3,\)", a(3), a(2))
wrong("too long", r"shape \(4,\), it should have \(3,\)", a(3), a(4))
wrong("transposed", r"shape \(2, 3\), it should have \(3, 2\)", a(3, 2), a(2, 3))
wrong("one dimension too many", "2 dimensions, it should have 1", a(3), a(3, 1))
wrong("one dimension too few", "1 dimensions, it should have 2", a(3, 1), a(3))
wrong("zero-dimensional", "0 dimensions, it should have 1", a(1), np.array(1.0))
wrong("one that would broadcast", r"shape \(1,\)", a(3), a(1))
wrong("float32", "dtype float32, the argument float64", a(3), a(3, dtype=np.float32))
wrong("float64 for float32", "dtype float64, the argument float32", a(3, dtype=np.float32), a(3))
wrong("integers", "dtype int64, the argument float64", a(3), a(3, dtype=np.int64))
wrong("bool", "dtype bool", a(3), np.zeros(3, bool))
wrong("complex", "dtype complex128", a(3), a(3, dtype=complex))
wrong("float16", "dtype float16", a(3), a(3, dtype=np.float16))
wrong("objects", "dtype object", a(3), a(3, dtype=object))
wrong("byte order", "which is not this machine's byte order", a(3), a(3).astype(np.dtype(float).newbyteorder("S")))
wrong("misaligned", "is not aligned", a(3), misaligned(3))
wrong("read-only", "shadow of x is read-only", a(3), frozen(a(3)))
wrong("a view of what is read-only", "shadow of x is read-only", a(3), frozen(a(6))[::2])
wrong("bytes", "is a bytes, the argument is an array", a(3), bytes(24))
wrong("an array over bytes", "shadow of x is read-only", a(3), np.frombuffer(bytes(24)))
wrong("a memoryview", "is a memoryview, the argument is an array", a(3), memoryview(a(3)))
wrong("long doubles", "dtype float(96|128)|dtype longdouble", a(3), a(3, dtype=np.longdouble)) if np.longdouble(0).itemsize > 8 else None
wrong("unsigned integers of the same size", "dtype uint64, the argument float64", a(3), a(3).view(np.uint64))
wrong("dates of the same size", "dtype datetime64", a(3), a(3).view("M8[s]"))
wrong("a field of the same size", r"dtype \[\('x', '<f8'\)\]", a(3), a(3).view([("x", "f8")]))
wrong("text", "dtype <U1|dtype str", a(3), np.array(["a", "b", "c"]))
wrong("Fortran order of another shape", r"shape \(2, 3\), it should have \(3, 2\)", a(3, 2), np.asfortranarray(a(2, 3)))
wrong("empty for full", r"shape \(0,\), it should have \(3,\)", a(3), a(0))
wrong("full for empty", r"shape \(3,\), it should have \(0,\)", a(0), a(3))
wrong("an empty array with another shape", r"shape \(0, 3\), it should have \(3, 0\)", a(3, 0), a(0, 3))
wrong("byte order of both", "not this machine's byte order", a(3).astype(np.dtype(float).newbyteorder("S")),
      a(3).astype(np.dtype(float).newbyteorder("S")))  # fmt: skip
wrong("negative strides that overlap", "overlaps itself", a(3, 2), as_strided(a(8)[4:], (3, 2), (-8, -8)))
wrong("a number of NumPy's for an array", "is a float64, the argument is an array", a(3), np.float64(0.0))
wrong("a class for an array", "is a type, the argument is an array", a(3), np.ndarray)
wrong("a broadcast", "read-only|overlaps itself", a(3), np.broadcast_to(a(1), 3))
wrong("strides of 0", r"overlaps itself: its strides \(0,\)", a(3), as_strided(a(1), (3,), (0,)))
wrong("overlapping rows", r"overlaps itself: its strides \(8, 8\)", a(3, 2), as_strided(a(4), (3, 2), (8, 8)))
wrong("half an element apart", "not aligned|overlaps itself", a(3), as_strided(a(3), (3,), (4,)))
wrong("overlap in three dimensions", "overlaps itself", a(2, 3, 4), as_strided(a(40), (2, 3, 4), (24, 16, 56)))
wrong("masked", "is a MaskedArray: use a plain array", a(3), np.ma.masked_array(a(3), [0, 1, 0]))
wrong("matrix", "is a matrix: use a plain array", a(1, 3), a(1, 3).view(np.matrix))

# -- structures ------------------------------------------------------------------------------------
wrong("a list too short", r"shadow of x has no \[1\]", [a(2), a(3)], [a(2)])
wrong("a list too long", r"has \[1\] too many", [a(2)], [a(2), a(3)])
wrong("a tuple for a list", "is a tuple, the argument is a list", [a(2)], (a(2),))
wrong("a key missing", r'shadow of x has no \["b"\]', {"a": a(2), "b": a(2)}, {"a": a(2)})
wrong("a key too many", r'has \["c"\] too many', {"a": a(2)}, {"a": a(2), "c": a(2)})
wrong("another key", r'has no \["a"\] and \["A"\] too many', {"a": a(2)}, {"A": a(2)})
wrong("another kind of dict", "is an OrderedDict, the argument is a dict", {"a": a(2)}, collections.OrderedDict(a=a(2)))
wrong("another dataclass", r"shadow of x is an OtherLayer, the argument is a Layer", Layer(a(2), a(2)), OtherLayer(a(2), a(2)))
wrong("a dict for a dataclass", "is a dict, the argument is a Layer", Layer(a(2), a(2)), {"w": a(2), "b": a(2)})
wrong("a dataclass deep inside", r'shadow of x\["layers"\]\[1\] is an OtherLayer',
      {"layers": [Layer(a(2), a(2)), Layer(a(2), a(2))]}, {"layers": [Layer(a(2), a(2)), OtherLayer(a(2), a(2))]})  # fmt: skip
wrong("a tuple for a named tuple", "is a tuple, the argument is a Pair", Pair(a(2), a(2)), (a(2), a(2)))
wrong("a length deep inside", r'shadow of x\["layers"\]\[2\]\.w has shape \(4,\), it should have \(3,\)',
      {"layers": [0, 0, Layer(a(3), a(2))]}, {"layers": [0, 0, Layer(a(4), a(2))]})  # fmt: skip
wrong("read-only deep inside", r'shadow of x\["layers"\]\[0\]\.b is read-only',
      {"layers": [Layer(a(3), a(2))]}, {"layers": [Layer(a(3), frozen(a(2)))]})  # fmt: skip
wrong("a dtype deep inside", r"shadow of x\[1\]\[0\] has dtype float32", [a(1), [a(2)]], [a(1), [a(2, dtype=np.float32)]])
wrong("lengths of ragged lists exchanged", r"shadow of x\[0\] has shape", [a(2), a(3)], [a(3), a(2)])
wrong("None for a part", r"shadow of x\[1\] is None, the argument is an array", [a(2), a(2)], [a(2), None])
wrong("a part for None", r"shadow of x\[1\] is an? ndarray, the argument is None", [a(2), None], [a(2), a(2)])
wrong("None for a structure", r'shadow of x\["p"\] is None', {"p": {"a": a(2)}}, {"p": None})
wrong("another tag", r"is <Shape.SQUARE: 2>, the argument <Shape.ROUND: 1>", (Shape.ROUND, a(2)), (Shape.SQUARE, a(2)))
wrong("a tag of another type", r"shadow of x\[0\] is an? int, the argument is a Shape", (Shape.ROUND, a(2)), (1, a(2)))
wrong("another length field", r'shadow of x\["n"\] is 3, the argument 2', {"n": 2, "a": a(2)}, {"n": 3, "a": a(2)})
wrong("another name", r"is 'b', the argument 'a'", ["a", a(2)], ["b", a(2)])
wrong("True for 1", r"shadow of x\[0\] is a bool, the argument is an int", [1, a(2)], [True, a(2)])
wrong("index arrays of another length", r"shadow of x\[0\] has shape \(2,\)", [np.arange(3), a(2)], [np.arange(2), a(2)])
wrong("index arrays of another dtype", r"shadow of x\[0\] has dtype int32", [np.arange(3), a(2)], [np.arange(3, dtype=np.int32), a(2)])
wrong("no index array", r"shadow of x\[0\] is a list", [np.arange(3), a(2)], [[0, 1, 2], a(2)])
wrong("arrays in an array of objects", r"use float64 or float32, and a list", [np.array([a(1), a(2)], dtype=object), a(2)],
      [np.array([a(1), a(2)], dtype=object), a(2)])  # fmt: skip
wrong("an integer for a float", r"shadow of x\[0\] is an? int, the argument is a float", [1.5, a(2)], [0, a(2)])
wrong("a float inside a tuple", "a float inside a tuple, which cannot be written", (1.5, a(2)), (0.0, a(2)))
wrong("a float inside a frozen dataclass", r"shadow of x\.s is a float inside a Frozen, which cannot be written",
      Frozen(1.5, a(2)), Frozen(0.0, a(2)))  # fmt: skip
wrong(
    "an array for a float",
    r'shadow of x\["s"\] is an? ndarray, the argument is a float',
    {"s": 1.5, "w": a(2)},
    {"s": np.array(0.0), "w": a(2)},
)
wrong("None for a float", r'shadow of x\["s"\] is None, the argument is a float', {"s": 1.5, "w": a(2)}, {"s": None, "w": a(2)})
wrong("a key of another type", r'has no \[1\] and \["1"\] too many', {1: a(2)}, {"1": a(2)})
wrong("a list for a named tuple", "is a list, the argument is a Pair", Pair(a(2), a(2)), [a(2), a(2)])
wrong("one level too many", r"shadow of x\[0\] is a list, the argument is an array", [a(2)], [[a(2)]])
wrong("one level too few", r"shadow of x\[0\] is an? ndarray, the argument is a list", [[a(2)]], [a(2)])
wrong("another None", r"shadow of x\[0\] is None, the argument is a", [Layer(a(2), a(2)), a(2)], [None, a(2)])
wrong("another callable", r"what is not a float must be the same", [np.sin, a(2)], [np.cos, a(2)])
wrong("another dtype of a part of numbers", r"shadow of x\[0\] has dtype bool", [np.arange(2), a(2)], [np.zeros(2, bool), a(2)])
wrong("an attrs class", r"shadow of x\.w has shape", Attrs(w=a(2)), Attrs(w=a(3)))

# -- structured arrays --------------------------------------------------------------------------------
wrong("a plain array for a structured one", "has dtype float64", np.zeros(3, POINT), a(3))
wrong("other fields", "has dtype", np.zeros(3, POINT), np.zeros(3, [("x", "f8"), ("m", "i8")]))
wrong("other length of a structured array", r"shape \(2,\)", np.zeros(3, POINT), np.zeros(2, POINT))
wrong("a read-only structured array", r'shadow of x\["x"\] is read-only', np.zeros(3, POINT), frozen(np.zeros(3, POINT)))
wrong("a union", "fields that overlap", np.zeros(3, UNION), np.zeros(3, UNION))
wrong("a packed structure", r'shadow of x\["x"\] is not aligned', np.zeros(3, PACKED), np.zeros(3, PACKED))

# -- shared memory -----------------------------------------------------------------------------------------
block = a(12)
SHARES = "shadow of {} shares memory with {}"
wrong("the argument itself", SHARES.format("x", "x:"), block, block)
wrong("a view of the argument", SHARES.format("x", "x"), block[:4], block[3:7])
wrong("the argument reversed", SHARES.format("x", "x"), block[:4], block[3::-1])
wrong("one element in common with a strided argument", SHARES.format("x", "x"), block[0:9:4], block[2:11:3][:3])
wrong("one shadow twice", r"shadow of x shares memory with the shadow of rest0", a(3), block[:3], a(3), block[:3])
wrong("two shadows that overlap", "shadow of x shares memory with the shadow of rest0", a(3), block[:3], a(3), block[2:5])
wrong("another argument", SHARES.format("x", "rest0"), a(3), block[:3], block[2:5], a(3))
wrong("a constant", SHARES.format("x", "rest0"), a(3), block[:3], block[2:5], activities=(Duplicated, Const))
wrong("a constant of bytes", SHARES.format("x", "rest0"), a(1), block[:1], block[:1].view(np.uint8), activities=(Duplicated, Const))
words = array.array("d", [1.0, 2.0])
wrong("a buffer of a constant", SHARES.format("x", "rest0"), a(2), np.frombuffer(words), words, activities=(Duplicated, Const))
wrong("a constant deep inside", r'shares memory with rest0\["c"\]\[1\]', a(3), block[:3], {"c": [0, block[1:2]]},
      activities=(Duplicated, Const))  # fmt: skip
wrong("within one shadow", r"shadow of x\[0\] shares memory with the shadow of x\[1\]", [a(2), a(2)], [block[:2], block[1:3]])
wrong("a structured constant", SHARES.format("x", "rest0"), a(4), np.zeros(4, POINT)["x"], None, activities=(Duplicated, Const))
points = np.zeros(4, POINT)
CASES.pop()
wrong("a structured constant's field", SHARES.format("x", "rest0"), a(4), points["x"], points, activities=(Duplicated, Const))
holder = {"s": 1.0, "w": a(2)}
wrong("the container of a float", r"shares memory|stands in a container", holder, holder)
slot = {"s": 0.0}
wrong("one container for two floats", r"stands in a container", [{"s": 1.0}, {"s": 2.0}], [slot, slot])
wrong("forward, the argument itself", SHARES.format("x", "x"), block, block, mode="forward")
wrong("forward, one shadow twice", "shares memory with the shadow of rest0", a(3), block[:3], a(3), block[:3], mode="forward")
wrong("two directions in one array", "shadow of x shares memory with the shadow of x", a(3), block[:3], block[2:5], width=2)
wrong("a second direction of another shape", r"shape \(4,\)", a(3), a(3), a(4), width=2)
wrong("a stacked shadow without its axis", "1 dimensions, it should have 2", a(3), a(3), mode="forward", activities=(Dualv,), width=2)
wrong("a stacked shadow of another width", r"shape \(3, 3\), it should have \(2, 3\)", a(3), a(3, 3), mode="forward", activities=(Dualv,),
      width=2)  # fmt: skip
wrong("a transposed view of the argument", SHARES.format("x", "x"), block[:4].reshape(2, 2), block[:4].reshape(2, 2).T)
wrong("one element in common, backwards", SHARES.format("x", "x"), block[2::-1], block[2:5])
wrong("bytes of the argument", SHARES.format("x", "x"), block[:2], block.view(np.uint8)[8:24].view(float))
wrong("float32 inside the argument of another", SHARES.format("x", "rest0"), a(2, dtype=np.float32), block.view(np.float32)[1:3], block[:2],
      a(2))  # fmt: skip
wrong("a list of the same array twice", r"shadow of x\[0\] shares memory with the shadow of x\[1\]", [a(2), a(2)], [block[:2], block[:2]])
wrong("a dataclass whose arrays overlap", r"shadow of x\.w shares memory with the shadow of x\.b", Layer(a(2), a(2)),
      Layer(block[:2], block[1:3]))  # fmt: skip
wrong("the whole tree itself", "shares memory with x", *[{"a": [a(2), a(3)]}] * 2)
wrong("two structured arrays that overlap", SHARES.format("x", "x"), points[:3], points[1:])
wrong("a memory map of an argument", SHARES.format("x", "x"), block[:3], np.asarray(memoryview(block[1:4])))
wrong("many arguments, two of which overlap", r"shadow of x\[70\] shares memory with x\[3\]",
      [*(many := [a(2) for _ in range(80)])], [many[3] if k == 70 else a(2) for k in range(80)])  # fmt: skip

# -- arguments that f overwrites ------------------------------------------------------------------------------
wrong(
    "a read-only argument that is written", "write writes into out, which is read-only", a(3), a(3), frozen(a(3)), a(3), f=write, ret=None
)
wrong("two arguments in one array, one written", "out, which is written into, shares memory with x", block[:3], a(3), block[2:5], a(3),
      f=write, ret=None)  # fmt: skip
wrong("the same argument twice, one written", "shares memory", block[:3], a(3), block[:3], a(3), f=write, ret=None)
wrong("a written argument that overlaps itself", "out, which overlaps itself", a(3), a(3), as_strided(a(1), (3,), (0,)), a(3), f=write,
      ret=None)  # fmt: skip
wrong("a written constant that is an argument too", "shares memory", block[:3], a(3), block[:3], f=write, ret=None,
      activities=(Duplicated, Const))  # fmt: skip


def state(x, seen=None):
    """Every byte that a structure reaches, and every object in it."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        base = x
        while isinstance(base.base, np.ndarray):
            base = base.base
        return (base.tobytes(), x.shape, x.strides, str(x.dtype), x.flags.writeable)
    if isinstance(x, (list, tuple)):
        return [state(part) for part in x]
    if isinstance(x, np.ndarray):
        return [state(part) for part in x.reshape(-1)]
    if isinstance(x, dict):
        return [(k, state(v)) for k, v in x.items()]
    if hasattr(x, "__dict__") and not isinstance(x, enum.Enum):
        return state(vars(x))
    return bytes(x) if isinstance(x, (bytearray, array.array)) else repr(x)


def derivative(f, mode, args, activities, ret, options):
    shadowed = Duplicated if mode == "reverse" else Dual
    width = options.get("width", 1)
    activities = activities or (shadowed,) * (len(args) // (1 + width))
    if ret == "default":
        ret = Active if mode == "reverse" else Dual
    return autodiff(f, mode, *activities, ret=ret, **options)


@pytest.mark.parametrize("message, args, f, mode, activities, ret, options", CASES)
def test_refused_and_nothing_changed(message, args, f, mode, activities, ret, options):
    df = derivative(f, mode, args, activities, ret, options)
    before = state(args)
    with pytest.raises(errors.ShadowError, match=message):
        df(*args)
    assert state(args) == before


def test_there_are_at_least_a_hundred_ways():
    assert len({case.id for case in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("message, args, f, mode, activities, ret, options", CASES)
def test_refused_after_calls_that_were_right(message, args, f, mode, activities, ret, options):
    """The look at arguments that are like those of an earlier call finds what the first look finds."""
    df = derivative(f, mode, args, activities, ret, options)
    good = fitting(df, args)
    try:
        for _ in range(2):
            df(*good)
    except errors.AdcoreError:
        pytest.skip("no shadow fits this argument")
    before = state(args)
    with pytest.raises(errors.ShadowError, match=message):
        df(*args)
    assert state(args) == before


def fitting(df, args):
    """Copies of the primals among these arguments, each with shadows as they should be."""
    good, at = [], 0
    for activity in df.activities:
        primal = copied(args[at])
        good.append(primal)
        at += 1
        for _ in range(df.width if activity.shadowed and not activity.stacked else activity.shadowed):
            good.append(np.zeros((df.width, *primal.shape)) if activity.stacked else copied(primal))
            at += 1
    return good


def copied(x):
    """The same values in writeable memory, each array on its own."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return np.array(x)
    if isinstance(x, list):
        return [copied(part) for part in x]
    if isinstance(x, dict):
        return {k: copied(v) for k, v in x.items()}
    if isinstance(x, tuple):
        return type(x)(*map(copied, x)) if hasattr(x, "_fields") else tuple(map(copied, x))
    if hasattr(x, "__dict__") and not isinstance(x, enum.Enum):
        other = copy.copy(x)
        for k, v in vars(x).items():
            object.__setattr__(other, k, copied(v))
        return other
    return copy.deepcopy(x)


@pytest.mark.parametrize("message, args, f, mode, activities, ret, options", CASES)
def test_unchecked_mode_refuses_what_would_touch_memory_outside_of_the_shadow(message, args, f, mode, activities, ret, options):
    """Only shared memory is not looked for: a result may then be wrong, but no byte outside of the shadows is written."""
    if re.search("shares memory|container", message):
        pytest.skip("overlap is what unchecked mode skips")
    df = derivative(f, mode, args, activities, ret, options)
    before = state(args)
    with adcore.config(unchecked=True), pytest.raises(errors.ShadowError, match=message):
        df(*args)
    assert state(args) == before


def test_neighbours_that_do_not_overlap_are_accepted():
    """The overlap test is exact: interleaved views of one block are fine."""
    block = np.zeros(12)
    x, dx = block[::2], block[1::2]
    x[:] = 1.0
    autodiff(read, "reverse", Duplicated, ret=Active)(x, dx)
    assert block.tolist() == [1.0] * 12
    grid = np.zeros((4, 6))
    autodiff(read, "reverse", Duplicated, Duplicated, ret=Active)(grid[:2, :3], grid[:2, 3:], grid[2:, :3], grid[2:, 3:])
    assert grid.tolist() == [[0.0] * 3 + [1.0] * 3] * 4


def test_strided_views_whose_rows_interleave_do_not_overlap_themselves():
    dx = as_strided(np.zeros(20), (3, 4), (8, 24))
    autodiff(read, "reverse", Duplicated, ret=Active)(a(3, 4), dx)
    assert (dx == 1.0).all()


def test_a_good_call_after_a_refused_one_is_right():
    df, x = autodiff(read, "reverse", Duplicated, ret=Active), a(3)
    for _ in range(2):
        with pytest.raises(errors.ShadowError):
            df(x, x)
        dx = np.zeros(3)
        df(x, dx)
        assert dx.tolist() == [1.0, 1.0, 1.0]
