"""Random NumPy programs as text: operations, views, assignments through them, loops, branches.

``programs()`` is a hypothesis strategy; each program is the source of ``f(x, y, s)`` for x [3, 4], y [4] and a float s, and returns
a float. Values stay moderate, so that differences can check the gradient.
"""

from __future__ import annotations

from hypothesis import strategies as st

SHAPES = {"x": (3, 4), "y": (4,)}
UNARY = ("np.sin({})", "np.tanh({})", "np.arctan({})", "np.exp(-np.abs({}))", "np.sqrt(1.0 + {0} * {0})", "np.log1p({0} ** 2)", "-{}",
         "{} ** 2 / 4.0", "np.abs({})", "np.cos({}) * 0.5", "1.0 / (2.0 + {0} * {0})", "np.cbrt(2.0 + {0} ** 2)", "np.square({}) * 0.1",
         "np.clip({}, -1.0, 0.8)", "np.sign({0}) * {0}", "{}.copy()", "np.maximum({}, 0.1)")  # fmt: skip
BINARY = ("{} + {}", "{} - {}", "{} * {} * 0.5", "{} / (2.0 + {} ** 2)", "np.maximum({}, {})", "np.minimum({}, {})", "np.hypot({}, {})",
          "np.where({0} > {1}, {0}, 0.5 * {1})", "np.arctan2({}, 2.0 + {} ** 2)", "np.logaddexp({}, {})", "np.tanh({}) * {}")  # fmt: skip
CHOSEN_AXIS = ("np.sum({}, axis={}) * 0.3", "np.mean({}, axis={})", "np.max({}, axis={})", "np.min({}, axis={})",
               "np.prod(np.tanh({}), axis={})",
               "np.std({}, axis={})")  # fmt: skip
TO_SCALAR = ("np.sum({}) * 0.2", "np.mean({})", "np.max({})", "np.dot({0}.ravel(), {0}.ravel()) * 0.1", "np.var({})", "{}.flat[0]",
             "np.median({})", "np.linalg.norm({0} + 0.1)")  # fmt: skip
SAME_SHAPE = ("np.cumsum({}, axis=-1) * 0.4", "np.roll({}, 1, axis=-1)", "np.flip({}, axis=0)", "np.sort({}, axis=-1)",
              "np.zeros_like({0}) + 0.5 * {0}", "{0}[::-1]", "np.concatenate([{0}[1:], {0}[:1]])", "{0}.reshape({0}.shape)",
              "np.pad({0}, 1)[tuple(slice(1, -1) for _ in {0}.shape)]", "np.array([v for v in {0}])",
              "np.diff({0}, axis=0, prepend=0.5)")  # fmt: skip


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
        self.views: set[str] = set()
        self.depth = 1
        self.count = 0

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def write(self, text):
        self.lines.append("    " * self.depth + text)

    def new(self, text, shape):
        name = f"v{self.count}"
        self.count += 1
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
        del shape[axis]
        self.new(self.pick(CHOSEN_AXIS).format(a, axis), tuple(shape))

    def to_scalar(self):
        self.new(self.pick(TO_SCALAR).format(self.array()), ())

    def product(self):
        a = self.pick([n for n, shape in self.shapes.items() if len(shape) <= 2])
        if len(self.shapes[a]) == 2:
            m, n = self.shapes[a]
            forms = {
                f"({a} @ {a}.T) * 0.1": (m, m),
                f"({a}.T @ {a}) * 0.1": (n, n),
                f"np.einsum('ij,kj->ik', {a}, {a}) * 0.2": (m, m),
                f"{a} @ np.linspace(-1.0, 1.0, {n})": (m,),
            }
            form = self.pick(forms)
            self.new(form, forms[form])
        else:
            self.new(f"np.outer({a}, {a}) * 0.2", (self.shapes[a][0], self.shapes[a][0]))

    def basic_index(self, shape):
        """A basic index and the shape of what it selects."""
        parts, out = [], []
        for n in shape:
            kind = self.number(0, 3)
            if kind == 0:
                parts.append(str(self.number(-n, n - 1)))
            elif kind == 1:
                parts.append(":")
                out.append(n)
            else:
                start, step = self.number(0, n - 1), self.number(1, 2)
                parts.append(f"{start}::{step}")
                out.append(len(range(start, n, step)))
        return ", ".join(parts), tuple(out)

    def view(self):
        a = self.array()
        if self.number(0, 2):
            index, shape = self.basic_index(self.shapes[a])
            name = self.new(f"{a}[{index}]", shape)
        else:
            name = self.new(f"{a}.T", self.shapes[a][::-1])
        self.views.add(name)

    def gathered(self):
        a = self.array()
        n = self.shapes[a][0]
        rows = [self.number(-n, n - 1) for _ in range(self.number(1, 3))]
        self.new(f"{a}[{rows}]", (len(rows), *self.shapes[a][1:]))

    def masked(self):
        a = self.array()
        self.new(f"np.sum({a}[{a} > {self.constant()}])", ())

    def assignment(self):
        a = self.array()
        kind = self.number(0, 5)
        if kind == 0:
            self.write(f"{a}[{a} > {self.constant()}] = 0.3 * {self.scalar()}")
        elif kind == 1 and self.shapes[a][0] > 1:
            self.write(f"{a}[[0, 1]] = {a}[[1, 0]]")
        elif kind == 2:
            self.write(f"{a} *= {self.pick(('0.5', '-0.9', 'np.tanh(s)'))}")
        elif kind == 3:
            self.write(f"np.add.at({a}, [0, {self.number(0, self.shapes[a][0] - 1)}, 0], 0.2 * {self.scalar()})")
        else:
            index, shape = self.basic_index(self.shapes[a])
            fitting = [b for b, other in self.shapes.items() if broadcast(other, shape) == shape]
            value = self.pick([*fitting, self.scalar()])
            self.write(f"{a}[{index}] {self.pick(('=', '+=', '-='))} 0.4 * {value}")

    def stored_scalar(self):
        a = self.array()
        index = ", ".join(str(self.number(0, n - 1)) for n in self.shapes[a])
        self.write(f"{a}[{index}] = np.tanh({self.scalar()}) + {self.scalar()} * 0.1")
        self.new(f"{a}[{index}] * {self.constant()}", ())

    def loop(self):
        a = self.array()
        n = self.shapes[a][0]
        kind = self.number(0, 2)
        if kind == 0:
            self.write(f"for i in range(1, {n}):")
            self.write(f"    {a}[i] = np.tanh({a}[i]) + 0.5 * {a}[i - 1]")
        elif kind == 1 and len(self.shapes[a]) > 1:
            self.write(f"for row in {a}:")
            self.write("    row *= 0.9")
            self.write("    row[0] += 0.1 * np.sum(row)")
        else:
            name = self.new(f"np.zeros({n})", (n,))
            self.write(f"for i in range({n}):")
            self.write(f"    {name}[i] = np.sum({a}[i]) * 0.2 + (np.sin({name}[i - 1]) if i else {self.scalar()})")

    def branch(self):
        test = f"{self.scalar()} > {self.constant()}" if self.number(0, 1) else f"{self.array()}.max() < {self.constant()}"
        self.write(f"if {test}:")
        known = dict(self.shapes), list(self.scalars)
        self.depth += 1
        self.assignment()
        self.depth -= 1
        self.write("else:")
        self.depth += 1
        self.stored_scalar()
        self.depth -= 1
        self.shapes, self.scalars = known  # what only one way defines is not used later

    def finish(self):
        total = [f"np.sum({a} * np.linspace(0.5, 1.5, {a}.size).reshape({a}.shape))" for a in self.shapes]
        self.write("return " + " + ".join([*total, *[f"0.7 * {name}" for name in self.scalars]]))
        head = ["def f(x, y, s):", "    x, y = x.copy(), y.copy()"]
        return "\n".join([*head, *self.lines, ""])


STATEMENTS = ("unary", "binary", "same_shape", "reduction", "to_scalar", "product", "view", "gathered", "masked", "assignment",
              "assignment", "stored_scalar", "loop", "branch", "view", "assignment")  # fmt: skip


@st.composite
def programs(draw, most=14):
    """Source texts."""
    writer = Writer(draw)
    for kind in draw(st.lists(st.sampled_from(STATEMENTS), min_size=2, max_size=most)):
        getattr(writer, kind)()
    return writer.finish()
