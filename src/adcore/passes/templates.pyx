"""The op table's partial derivatives as C arrays, compiled once at import."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from adcore import optable

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_OP_IDENTITY
from adcore.passes.builder cimport Builder
from adcore.plan.pool cimport Pool, pool_add, pool_init
from adcore.tape.program cimport SCALAR_SHAPE

cdef enum:
    # operands: a template result t is t itself, 0 <= t < MAX_LENGTH
    MAX_LENGTH = 64
    IS_X1 = -1
    IS_X2 = -2
    IS_X3 = -3
    IS_Y = -4
    IS_NONE = -5
    FIRST_CONSTANT = 1000           # FIRST_CONSTANT + k: constant k

cdef struct TemplateOp:
    uint16_t op
    int32_t[3] x

cdef Pool template_ops, constants
cdef Partial[AD_N_ELEMENTWISE][3] partials
pool_init(&template_ops, sizeof(TemplateOp))
pool_init(&constants, sizeof(double))


cdef int32_t operand_code(object operand) except? -99:
    if isinstance(operand, str):
        return {"x1": IS_X1, "x2": IS_X2, "x3": IS_X3, "y": IS_Y}[operand]
    kind, what = operand
    if kind == "t":
        return what
    (<double *>pool_add(&constants, 1))[0] = what
    return FIRST_CONSTANT + <int32_t>(constants.n - 1)


cdef int compile_templates() except -1:
    cdef Partial *partial
    cdef TemplateOp *op
    cdef int32_t[3] codes
    for opcode, row in enumerate(optable.templates()):
        for k, code in enumerate(row):
            partial = &partials[opcode][k]
            partial.missing = k in optable.ROWS[opcode].missing
            if len(code) > MAX_LENGTH:
                raise ValueError(f"the partial {k} of {optable.NAMES[opcode]} is longer than {MAX_LENGTH} ops")
            if len(code) == 1 and code[0][0] == "IDENTITY" and code[0][1][0] == "c":
                partial.constant = code[0][1][1]
                continue
            partial.first = <int32_t>template_ops.n
            partial.n = len(code)
            for name, *operands in code:
                for j in range(3):
                    codes[j] = operand_code(operands[j]) if j < len(operands) else IS_NONE
                op = <TemplateOp *>pool_add(&template_ops, 1)
                op.op = optable.OPCODE[name]
                for j in range(3):
                    op.x[j] = codes[j]
    return 0


compile_templates()


cdef Partial *partial_of(int op, int k) noexcept nogil:
    return &partials[op][k]


cdef int32_t joint_shape(Builder builder, int32_t x1, int32_t x2, int32_t x3, int32_t shape) noexcept:
    """``shape``, or () when every operand is a scalar: part of a partial may need no array."""
    cdef const int64_t *ints = builder.out.ints
    if ((x1 >= 0 and ints[builder.out.code[x1].shape] > 0) or (x2 >= 0 and ints[builder.out.code[x2].shape] > 0)
            or (x3 >= 0 and ints[builder.out.code[x3].shape] > 0)):
        return shape
    return SCALAR_SHAPE


cdef int32_t emit_partial(Builder builder, const Partial *partial, uint8_t dtype, int32_t shape,
                          int32_t x1, int32_t x2, int32_t x3, int32_t y) except -1:
    """Emit a partial derivative at these values of the new program; returns its value."""
    cdef int32_t[MAX_LENGTH] results
    cdef int32_t[3] x
    cdef TemplateOp op
    cdef int32_t k, j, code
    if partial.n == 0:
        return builder.literal(partial.constant)
    for k in range(partial.n):
        op = (<TemplateOp *>template_ops.data)[partial.first + k]
        for j in range(3):
            code = op.x[j]
            if code == IS_X1:
                x[j] = x1
            elif code == IS_X2:
                x[j] = x2
            elif code == IS_X3:
                x[j] = x3
            elif code == IS_Y:
                x[j] = y
            elif code == IS_NONE:
                x[j] = -1
            elif code >= FIRST_CONSTANT:
                x[j] = builder.literal((<double *>constants.data)[code - FIRST_CONSTANT])
            else:
                x[j] = results[code]
        if op.op == AD_OP_IDENTITY:
            results[k] = x[0]
        else:
            results[k] = builder.elementwise(op.op, dtype, joint_shape(builder, x[0], x[1], x[2], shape),
                                             x[0], x[1], x[2])
    return results[partial.n - 1]
