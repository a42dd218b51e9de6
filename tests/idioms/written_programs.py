"""Random NumPy programs as text: operations, views, assignments through them, loops, branches, helpers, dtypes.

``programs()`` is a hypothesis strategy; each program is the source of ``f(x, y, s)`` for x [3, 4], y [4] and a float s, and returns
a float. Values stay moderate, so that differences can check the gradient. ``Single`` is float32; differences are taken of the
program in which it is float64.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

SHAPES = {"x": (3, 4), "y": (4,)}
HELPERS = """\
def mix(a, b, out=None):
    r = np.tanh(a) + 0.5 * b
    if out is None:
        return r
    out[...] = r
    return out


def smooth(a, times=1):
    b = np.empty(a.shape)
    b[...] = a
    for _ in range(times):
        b[1:] = 0.5 * (b[1:] + b[:-1])
    return b


def shrink(a, k=2.0):
    a *= 0.9
    return np.sum(a) / k


def bend(v):
    return v * v if v > 0 else 0.3 * v


bend_each = np.vectorize(bend, otypes=[float])
"""
UNARY = ("np.sin({})", "np.tanh({})", "np.arctan({})", "np.exp(-np.abs({}))", "np.sqrt(1.0 + {0} * {0})", "np.log1p({0} ** 2)", "-{}",
         "{} ** 2 / 4.0", "np.abs({})", "np.cos({}) * 0.5", "1.0 / (2.0 + {0} * {0})", "np.cbrt(2.0 + {0} ** 2)", "np.square({}) * 0.1",
         "np.clip({}, -1.0, 0.8)", "np.sign({0}) * {0}", "{}.copy()", "np.maximum({}, 0.1)", "smooth({})", "bend_each({})",
         "{0} * ({0} > 0.1)", "{0} * np.round({0}).astype(int)", "np.where({0} > 0, {0}, {0} // 1)", "{0} % 0.7",
         "({0} > {0}.mean() + 0.013) * 1.5 + {0}",
         "np.apply_along_axis(np.cumsum, 0, {}) * 0.3", "np.nan_to_num({})", "np.einsum('...i->...i', {}) * 0.9")  # fmt: skip
BINARY = ("{} + {}", "{} - {}", "{} * {} * 0.5", "{} / (2.0 + {} ** 2)", "np.maximum({}, {})", "np.minimum({}, {})", "np.hypot({}, {})",
          "np.where({0} > {1}, {0}, 0.5 * {1})", "np.arctan2({}, 2.0 + {} ** 2)", "np.logaddexp({}, {})", "np.tanh({}) * {}",
          "mix({}, {})", "np.where(({0} > 0) & ({1} < 0.5), {0}, {1})", "np.multiply({}, {}) * 0.5", "np.fmax({0}, {1})",
          "np.add({0}, {1}) * np.logical_not({0} > 1.0)")  # fmt: skip
CHOSEN_AXIS = ("np.sum({}, axis={}{}) * 0.3", "np.mean({}, axis={}{})", "np.max({}, axis={}{})", "np.min({}, axis={}{})",
               "np.prod(np.tanh({}), axis={}{})", "np.std({}, axis={}{})", "np.sum({0}, axis={1}{2}, where={0} > -0.2)",
               "np.max({0}, axis={1}{2}, initial=0.3)", "np.min({0}, axis={1}{2}, where={0} > 0, initial=0.9)",
               "np.mean({0}, axis={1}{2}, where=np.abs({0}) > -1)", "np.median({}, axis={}{})", "np.ptp({}, axis={}{})")  # fmt: skip
TO_SCALAR = ("np.sum({}) * 0.2", "np.mean({})", "np.max({})", "np.dot({0}.ravel(), {0}.ravel()) * 0.1", "np.var({})", "{}.flat[0]",
             "np.median({})", "np.linalg.norm({0} + 0.1)", "float(np.sum({})) * 0.2", "{}.ravel()[-1].item()", "shrink({})",
             "sum(v for v in {}.ravel()) * 0.1", "max({}.flat)", "math.sin(float({}.mean()))", "sorted({}.ravel().tolist())[0]",
             "{0}[np.unravel_index(np.argmax({0}), {0}.shape)]", "np.sum(np.sort({0}, axis=None)[:2])",
             "float(np.count_nonzero({0} > 0)) + {0}.min()", "np.percentile({}, 40)")  # fmt: skip
FROM_SCALARS = ("max({}, {})", "min({}, {})", "abs({}) + {}", "math.tanh({}) * {}", "float({}) - 0.5 * {}", "math.hypot({}, {})",
                "round({}, 1) * {}", "np.float64(0.5) * {} * {}", "divmod({}, 0.6)[1] + {}", "sum([{}, {}]) * 0.5",
                "np.array([{}, 2.0, {}]).mean()", "{} if {} > 0.2 else 0.5", "np.sin({}) + np.cos({})",
                "math.atan2({}, 2.0 + abs({}))", "int({} * 3) + 0.5 * {}")  # fmt: skip
SAME_SHAPE = ("np.cumsum({}, axis=-1) * 0.4", "np.roll({}, 1, axis=-1)", "np.flip({}, axis=0)", "np.sort({}, axis=-1)",
              "np.zeros_like({0}) + 0.5 * {0}", "{0}[::-1]", "np.concatenate([{0}[1:], {0}[:1]])", "{0}.reshape({0}.shape)",
              "np.pad({0}, 1)[tuple(slice(1, -1) for _ in {0}.shape)]", "np.array([v for v in {0}])",
              "np.diff({0}, axis=0, prepend=0.5)", "np.sort({}, axis=0)", "np.cumsum({}, axis=0) * 0.4", "np.cumprod(np.tanh({}), axis=0)",
              "{0}[np.argsort({0}, axis=0).reshape({0}.shape[0], -1)[:, 0]]", "np.take({0}, range(len({0}))[::-1], axis=0)",
              "np.stack(list({0}))", "np.r_[{0}[:1], {0}[1:]]", "np.vstack([{0}]).reshape({0}.shape)",
              "np.moveaxis(np.moveaxis({0}, 0, -1), -1, 0)",
              "{0}.astype(Single)", "{0}.astype(Single).astype(float)", "{0}.ravel().reshape({0}.shape)", "{0}[...]",
           "np.fmin({0}, 0.7)", "{0}.view()", "np.array({0}.tolist())")  # fmt: skip


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of a sum; None when there is none."""
    out = []
    for k in range(1, max(len(a), len(b)) + 1):
        m, n = (a[-k] if k <= len(a) else 1), (b[-k] if k <= len(b) else 1)
        if m != n and 1 not in (m, n):
            return None
        out.insert(0, max(m, n))
    return tuple(out)


class Writer:
    """A program as it is written: its lines, and what is known of its names."""

    def __init__(self, draw):
        self.draw = draw
        self.shapes = dict(SHAPES)
        self.scalars = ["s"]
        self.lines: list[str] = []
        self.depth = 1
        self.count = 0

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def write(self, text):
        self.lines.append("    " * self.depth + text)

    def name(self):
        self.count += 1
        return f"v{self.count - 1}"

    def new(self, text, shape):
        name = self.name()
        self.write(f"{name} = {text}")
        if shape == ():
            self.scalars.append(name)
        else:
            self.shapes[name] = shape
        return name

    def array(self):
        return self.pick(self.shapes)

    def constant(self):
        return repr(self.number(-15, 15) / 10.0)

    def scalar(self):
        return self.pick([*self.scalars, self.constant()])

    def fitting(self, shape):
        """Something that can be assigned to an array of this shape."""
        return self.pick([*[b for b, other in self.shapes.items() if broadcast(other, shape) == shape], self.scalar()])

    # -- statements -------------------------------------------------------------------------

    def unary(self):
        a = self.array()
        self.new(self.pick(UNARY).format(a), self.shapes[a])

    def binary(self):
        a, b = self.array(), self.pick([*self.shapes, *self.scalars, self.constant()])
        shape = broadcast(self.shapes[a], self.shapes.get(b, ()))
        if shape is not None:
            form = self.pick(BINARY)
            self.new(form.format(a, b) if self.number(0, 1) else form.format(b, a), shape)

    def same_shape(self):
        a = self.array()
        self.new(self.pick(SAME_SHAPE).format(a), self.shapes[a])

    def reduction(self):
        a = self.array()
        axis = self.number(-len(self.shapes[a]), len(self.shapes[a]) - 1)
        shape = list(self.shapes[a])
        keep = self.number(0, 2) == 0
        if keep:
            shape[axis] = 1
        else:
            del shape[axis]
        self.new(self.pick(CHOSEN_AXIS).format(a, axis, ", keepdims=True" if keep else ""), tuple(shape))

    def to_scalar(self):
        self.new(self.pick(TO_SCALAR).format(self.array()), ())

    def of_scalars(self):
        self.new(self.pick(FROM_SCALARS).format(self.scalar(), self.scalar()), ())

    def of_numbers(self):
        """A small array written down number by number."""
        a, b, c = self.scalar(), self.scalar(), self.scalar()
        forms = {
            f"np.array([[{a}, {b}], [0.5, {c}]])": (2, 2),
            f"np.array([{a}, {b}, {c}])": (3,),
            f"np.full((2, 3), {a})": (2, 3),
            f"np.linspace({a}, s, 4)": (4,),
            f"np.r_[s, {a}, {b}]": (3,),
            f"np.arange(4) * {a} + s": (4,),
            f"np.diag([{a}, s, 1.0])": (3, 3),
        }
        form = self.pick(forms)
        self.new(form, forms[form])

    def product(self):
        a = self.pick([n for n, shape in self.shapes.items() if len(shape) <= 2])
        if len(self.shapes[a]) == 2:
            m, n = self.shapes[a]
            forms = {
                f"({a} @ {a}.T) * 0.1": (m, m),
                f"({a}.T @ {a}) * 0.1": (n, n),
                f"np.einsum('ij,kj->ik', {a}, {a}) * 0.2": (m, m),
                f"np.einsum('ij->ji', {a})": (n, m),
                f"np.einsum('ij,ij->i', {a}, np.tanh({a}))": (m,),
                f"np.einsum('ij,kl->jl', {a}, {a}) * 0.1": (n, n),
                f"{a} @ np.linspace(-1.0, 1.0, {n})": (m,),
                f"np.tensordot({a}, {a}, axes=([0], [0])) * 0.1": (n, n),
                f"np.trace({a} @ {a}.T) * 0.1": (),
            }
            form = self.pick(forms)
            self.new(form, forms[form])
        else:
            n = self.shapes[a][0]
            forms = {
                f"np.outer({a}, {a}) * 0.2": (n, n),
                f"np.einsum('i,j->ij', {a}, np.sin({a}))": (n, n),
                f"{a}[:, None] - {a}": (n, n),
                f"np.convolve({a}, [0.5, -0.2], mode='same')[:{n}]": (n,),
                f"np.diag({a})": (n, n),
            }
            form = self.pick(forms)
            self.new(form, forms[form])

    def basic_index(self, shape):
        """A basic index and the shape of what it selects."""
        parts, out = [], []
        for n in shape:
            kind = self.number(0, 4)
            if kind == 0:
                parts.append(str(self.number(-n, n - 1)))
            elif kind == 1:
                parts.append(":")
                out.append(n)
            elif kind == 2:
                start = self.number(0, n - 1)
                parts.append(f"{start}::-1")
                out.append(start + 1)
            else:
                start, step = self.number(0, n - 1), self.number(1, 2)
                parts.append(f"{start}::{step}")
                out.append(len(range(start, n, step)))
        if self.number(0, 5) == 0:
            parts.append("None")
            out.append(1)
        return ", ".join(parts), tuple(out)

    def fancy_index(self, shape, distinct=False):
        """An index with lists of integers or a mask of rows, and the shape of what it selects; None for an unknown shape."""
        n = shape[0]
        count = self.number(1, min(3, n))
        if distinct:
            rows = sorted(range(n), key=lambda _: self.number(0, 99))[:count]
        else:
            rows = [self.number(-n, n - 1) for _ in range(count)]
        kind = self.number(0, 3)
        if kind == 0 or len(shape) == 1:
            return f"{list(rows)}", (count, *shape[1:])
        columns = [self.number(-shape[1], shape[1] - 1) for _ in rows]
        if kind == 1:
            return f"{list(rows)}, {columns}", (count, *shape[2:])
        if kind == 2:
            return f":, {columns}" if not distinct else f"{list(rows)}, 1:", None if not distinct else (count, shape[1] - 1, *shape[2:])
        return f"np.ix_({list(rows)}, [0])" if len(shape) == 2 else f"{list(rows)}", (count, 1) if len(shape) == 2 else (count, *shape[1:])

    def view(self):
        a = self.array()
        kind = self.number(0, 5)
        if kind >= 3:
            index, shape = self.basic_index(self.shapes[a])
            self.new(f"{a}[{index}]", shape)
        elif kind == 2:
            size = 1
            for d in self.shapes[a]:
                size *= d
            self.new(f"{a}.reshape(-1)", (size,))
        else:
            self.new(f"{a}.T", self.shapes[a][::-1])

    def gathered(self):
        a = self.array()
        index, shape = self.fancy_index(self.shapes[a])
        if shape is not None and 0 not in shape:
            self.new(f"{a}[{index}]", shape)

    def masked(self):
        a = self.array()
        forms = (
            f"np.sum({a}[{a} > {self.constant()}])",
            f"np.sum({a}[np.abs({a}) < 0.8] ** 2)",
            f"np.sum({a}[~({a} > 0)]) * 0.5",
            f"float({a}[{a} > -9.0][0])",
        )
        self.new(self.pick(forms), ())

    def assignment(self):
        a = self.array()
        shape = self.shapes[a]
        kind = self.number(0, 11)
        if kind == 0:
            self.write(f"{a}[{a} > {self.constant()}] = 0.3 * {self.scalar()}")
        elif kind == 1 and shape[0] > 1:
            self.write(f"{a}[[0, 1]] = {a}[[1, 0]]")
        elif kind == 2:
            self.write(f"{a} *= {self.pick(('0.5', '-0.9', 'np.tanh(s)'))}")
        elif kind == 3:
            self.write(f"np.add.at({a}, [0, {self.number(0, shape[0] - 1)}, 0], 0.2 * {self.scalar()})")
        elif kind == 4:
            index, chosen = self.fancy_index(shape, distinct=self.number(0, 1) == 1)
            if chosen is not None and 0 not in chosen:
                self.write(f"{a}[{index}] {self.pick(('=', '+=', '*='))} 0.4 * {self.fitting(chosen)}")
        elif kind == 5:
            other = self.pick([b for b, own in self.shapes.items() if own == shape])
            form = self.pick(("{0}[{1} > 0.2] = {1}[{1} > 0.2] * 0.5", "{0}[{0} < 0] *= -0.5", "np.copyto({0}, {1}, where={1} > 0)",
                              "np.multiply({1}, 0.5, out={0})", "np.add({0}, {1}, out={0})", "mix({1}, {0}, out={0})",
                              "{0}[...] = {1}[::-1]", "np.sin({1}, out={0}, where={1} > 0)", "{0}[:] = np.sort({1}, axis=0)",
                              "np.cumsum({1}, axis=0, out={0})", "np.maximum({0}, {1}, {0})", "{0} += 0.3 * {1}",
                              "{0} -= 0.5 * {1}.mean(axis=0)"))  # fmt: skip
            self.write(form.format(a, other))
        elif kind == 6:
            form = self.pick(("{0}[1:] += 0.5 * {0}[:-1]", "{0}[:-1] = {0}[1:]", "{0}.T[...] = 0.7 * {0}.T", "{0}.flat[0] = {1}",
                              "{0}.sort(axis=0)", "{0}.fill({1})", "np.put({0}, [0], {1})", "{0}.ravel()[0] *= 0.5", "{0}[-1] = {1}",
                              "{0}[0], {0}[-1] = {0}[-1], {0}[0]", "{0}[...] = {0} * 0.5",
                              "{0} **= 2", "{0}[::2] -= 0.1", "np.fill_diagonal({0}.reshape({0}.shape[0], -1), {1})"))  # fmt: skip
            self.write(form.format(a, self.scalar()))
        else:
            index, chosen = self.basic_index(shape)
            self.write(f"{a}[{index}] {self.pick(('=', '+=', '-='))} 0.4 * {self.fitting(chosen)}")

    def stored_scalar(self):
        a = self.array()
        index = ", ".join(str(self.number(0, n - 1)) for n in self.shapes[a])
        self.write(f"{a}[{index}] = np.tanh({self.scalar()}) + {self.scalar()} * 0.1")
        self.new(f"{a}[{index}] * {self.constant()}", ())

    def loop(self):
        a = self.array()
        n = self.shapes[a][0]
        kind = self.number(0, 5)
        if kind == 0:
            self.write(f"for i in range(1, {n}):")
            self.write(f"    {a}[i] = np.tanh({a}[i]) + 0.5 * {a}[i - 1]")
        elif kind == 1 and len(self.shapes[a]) > 1:
            self.write(f"for row in {a}:")
            self.write("    row *= 0.9")
            self.write("    row[0] += 0.1 * np.sum(row)")
        elif kind == 2:
            self.write(f"while np.sum(np.abs({a})) > 4.0:")
            self.write(f"    {a} *= 0.6")
        elif kind == 3:
            total = self.name()
            self.write(f"{total} = {self.scalar()}")
            self.write(f"for i, v in enumerate({a}.ravel()):")
            self.write("    if v < -0.9:")
            self.write("        continue")
            self.write(f"    {total} = {total} * 0.5 + v * i if i % 2 else {total} - 0.1 * abs(v)")
            self.scalars.append(total)
        elif kind == 4:
            parts = self.name()
            self.write(f"{parts} = [{a}[i] * (i + 0.5) for i in range({n})]")
            self.write(f"{parts}[0] = {parts}[0] + {parts}[-1]")
            self.new(f"np.stack({parts})", self.shapes[a])
        else:
            name = self.new(f"np.zeros({n})", (n,))
            self.write(f"for i in range({n}):")
            self.write(f"    {name}[i] = np.sum({a}[i]) * 0.2 + (np.sin({name}[i - 1]) if i else {self.scalar()})")

    def branch(self):
        tests = (f"{self.scalar()} > {self.constant()}", f"{self.array()}.max() < {self.constant()}", f"np.any({self.array()} > 1.0)",
                 f"np.argmin({self.array()}) % 2", f"int(abs({self.scalar()}) * 2)")  # fmt: skip
        self.write(f"if {self.pick(tests)}:")
        known = dict(self.shapes), list(self.scalars)
        self.depth += 1
        self.assignment()
        self.write("pass")
        self.depth -= 1
        self.write("else:")
        self.depth += 1
        self.stored_scalar()
        self.depth -= 1
        self.shapes, self.scalars = known  # what only one way defines is not used later

    def finish(self):
        total = [f"np.sum({a} * np.linspace(0.5, 1.5, {a}.size).reshape({a}.shape))" for a in self.shapes]
        self.write("return " + " + ".join([*total, *[f"0.7 * {name}" for name in self.scalars]]))
        head = [HELPERS, "", "def f(x, y, s):", "    x, y = x.copy(), y.copy()"]
        return "\n".join([*head, *self.lines, ""])


STATEMENTS = ("unary", "binary", "same_shape", "reduction", "to_scalar", "product", "view", "gathered", "masked", "assignment",
              "assignment", "stored_scalar", "loop", "branch", "view", "assignment", "of_scalars", "of_numbers", "unary",
              "assignment")  # fmt: skip


@st.composite
def programs(draw, most=14):
    """Source texts."""
    return written(Writer(draw), most)


class Rolled(Writer):
    """A program by dice: many of them in little time."""

    def __init__(self, seed):
        super().__init__(None)
        self.random = random.Random(seed)

    def pick(self, options):
        return self.random.choice(list(options))

    def number(self, low, high):
        return self.random.randint(low, high)


def written(writer, most=14):
    """The source of a program."""
    for _ in range(writer.number(2, most)):
        getattr(writer, writer.pick(STATEMENTS))()
    return writer.finish()
