"""Phrases: operations of a block that follow one another are joined into one, where nobody else reads what lies between.

Each operation of a block reads and writes registers in the first-level cache; a phrase (``optable.phrases``) reads all it
needs and writes once. Operations are looked at in their order, and take in those that their operands come from.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t
from libc.string cimport memset

from adcore.optable.opcodes cimport AD_N_ELEMENTWISE, AD_N_PAIRS
from adcore.plan.plan cimport Access, Splat, VmOp
from adcore.plan.pool cimport Pool, pool_add

from adcore import optable
from adcore.optable import phrases

cdef enum:
    NONE = -1
    N_BEGINNINGS = 4
    N_STEPS = 6
    LONGEST = 3             # operations of a phrase

cdef int16_t beginning_of[AD_N_ELEMENTWISE]             # of an op that may begin a phrase, NONE
cdef int16_t step_of[AD_N_ELEMENTWISE][2]               # of an op that goes on with its first, or its second argument, NONE
cdef int16_t alone[AD_N_ELEMENTWISE]                    # numbers of phrases, NONE
cdef int16_t two[N_BEGINNINGS][N_STEPS]
cdef int16_t three[N_BEGINNINGS][N_STEPS][N_STEPS]
cdef int16_t joint[N_BEGINNINGS][N_BEGINNINGS][N_BEGINNINGS]
cdef uint16_t square = optable.OPCODE["SQUARE"]


cdef void fill_tables():
    memset(beginning_of, 0xff, sizeof(beginning_of))
    memset(step_of, 0xff, sizeof(step_of))
    memset(alone, 0xff, sizeof(alone))
    memset(two, 0xff, sizeof(two))
    memset(three, 0xff, sizeof(three))
    memset(joint, 0xff, sizeof(joint))
    beginnings, steps = list(phrases.BEGINNINGS), list(phrases.STEPS)
    for number, op in enumerate(beginnings):
        beginning_of[<int>optable.OPCODE[op.upper()]] = number
    beginning_of[square] = beginning_of[<int>optable.OPCODE["MUL"]]
    for number, (op, place) in enumerate(steps):
        step_of[<int>optable.OPCODE[op.upper()]][<int>place] = number
        if (op, 1) not in steps:        # either argument
            step_of[<int>optable.OPCODE[op.upper()]][1] = number
    for number, (first, *rest) in enumerate(phrases.PHRASES):
        if not rest:
            alone[<int>optable.OPCODE[first.upper()]] = number
            continue
        second, *last = rest
        begun = beginnings.index(first)
        if second in beginnings:
            joint[<int>begun][<int>beginnings.index(second)][<int>beginnings.index(last[0])] = number
        elif last:
            three[<int>begun][<int>steps.index(second)][<int>steps.index(last[0])] = number
        else:
            two[<int>begun][<int>steps.index(second)] = number
    alone[square] = alone[<int>optable.OPCODE["MUL"]]


fill_tables()

cdef struct Said:           # of an operation: the phrase that it has become
    int16_t length          # operations, 0: nothing that a phrase could begin with
    int16_t begun
    int16_t step            # the first step, NONE where two beginnings were joined


cdef inline void begin(Said *said, const VmOp *op) noexcept nogil:
    said.length = 0
    said.step = NONE
    if op.op < AD_N_ELEMENTWISE and not op.round_f32 and beginning_of[op.op] != NONE:
        said.length = 1
        said.begun = beginning_of[op.op]


cdef int32_t operand_from(const VmOp *ops, const Said *said, const int32_t *uses, const int32_t *made, int32_t lane) noexcept nogil:
    """The operation that an operand comes from, if it may be taken in: nobody else reads it."""
    cdef int32_t at = made[lane]
    if at == NONE or uses[lane] != 1 or said[at].length == 0 or said[at].length >= LONGEST:
        return NONE
    return at


cdef bint join(VmOp *op, const VmOp *left, const Said *l, const VmOp *right, const Said *r, Said *said) noexcept nogil:
    """Let an operation take in both of its operands."""
    cdef int16_t number
    if l.length != 1 or r.length != 1 or beginning_of[op.op] == NONE:
        return False
    number = joint[l.begun][beginning_of[op.op]][r.begun]
    if number == NONE:
        return False
    op.op = AD_N_ELEMENTWISE + AD_N_PAIRS + number
    op.x1 = left.x1
    op.x2 = left.x2
    op.x3 = right.x1
    op.x4 = right.x2
    said.length = LONGEST
    return True


cdef bint go_on(VmOp *op, const VmOp *inner, const Said *before, int place, Said *said) noexcept nogil:
    """Let an operation take in one of its operands, as the last step of a phrase."""
    cdef int16_t step = step_of[op.op][place], number
    cdef uint16_t other = op.x1 if place else op.x2
    if step == NONE:
        return False
    number = two[before.begun][step] if before.length == 1 else three[before.begun][before.step][step]
    if number == NONE:
        return False
    op.op = AD_N_ELEMENTWISE + AD_N_PAIRS + number
    op.x1 = inner.x1
    op.x2 = inner.x2
    op.x3 = other if before.length == 1 else inner.x3
    op.x4 = other
    said.begun = before.begun
    said.step = step
    said.length = before.length + 1
    return True


cdef int32_t join_phrases(VmOp *ops, int32_t n_ops, const Access *stores, int32_t n_stores, int32_t n_lanes, Pool *spare) except -1:
    """Join what can be joined; returns how many operations are left. Keeps: every bit of what is stored."""
    cdef int32_t *uses
    cdef int32_t *made
    cdef Said *said
    cdef int32_t i, left, right, taken, n = 0
    spare.n = 0
    uses = <int32_t *>pool_add(spare, 2 * n_lanes * sizeof(int32_t) + n_ops * sizeof(Said))
    made = uses + n_lanes
    said = <Said *>(made + n_lanes)
    memset(made, 0xff, n_lanes * sizeof(int32_t))
    for i in range(n_stores):
        uses[stores[i].reg] += 1
    for i in range(n_ops):
        begin(&said[i], &ops[i])
        uses[ops[i].x1] += 1
        uses[ops[i].x2] += said[i].length == 0 or ops[i].op != square
        uses[ops[i].x3] += said[i].length == 0
        if said[i].length or ops[i].op < AD_N_ELEMENTWISE:
            made[ops[i].y] = i
    for i in range(n_ops):
        if said[i].length == 0 or ops[i].op == square or ops[i].x1 == ops[i].x2:
            continue
        left = operand_from(ops, said, uses, made, ops[i].x1)
        right = operand_from(ops, said, uses, made, ops[i].x2)
        if left != NONE and right != NONE and join(&ops[i], &ops[left], &said[left], &ops[right], &said[right], &said[i]):
            said[left].length = said[right].length = NONE
            continue
        for taken in range(2):      # the longer one first
            if left != NONE and (taken or right == NONE or said[left].length >= said[right].length):
                if go_on(&ops[i], &ops[left], &said[left], 0, &said[i]):
                    said[left].length = NONE
                    break
            if right != NONE and (taken or left == NONE or said[right].length > said[left].length):
                if go_on(&ops[i], &ops[right], &said[right], 1, &said[i]):
                    said[right].length = NONE
                    break
    for i in range(n_ops):
        if said[i].length != NONE:
            ops[n] = ops[i]
            n += 1
    return n


cdef inline bint is_phrase(const VmOp *op) noexcept nogil:
    return op.op >= AD_N_ELEMENTWISE + AD_N_PAIRS


cdef inline bint may_be_phrase(const VmOp *op) noexcept nogil:
    return is_phrase(op) or op.op < AD_N_ELEMENTWISE and not op.round_f32 and alone[op.op] != NONE


cdef int32_t shorten_splats(VmOp *ops, int32_t n_ops, Splat *splats, int32_t n_splats, const Access *stores, int32_t n_stores,
                            int32_t n_lanes, Pool *spare) except -1:
    """Let those numbers that only phrases read fill one vector, not a block; returns how many there are, the first ones then.

    Operations with such an operand become phrases of one.
    """
    cdef uint8_t *short
    cdef Splat splat
    cdef int32_t i, n = 0
    if n_splats == 0:
        return 0
    spare.n = 0
    short = <uint8_t *>pool_add(spare, n_lanes)
    for i in range(n_splats):
        short[splats[i].reg] = True
    for i in range(n_stores):
        short[stores[i].reg] = False
    for i in range(n_ops):
        if not may_be_phrase(&ops[i]):
            short[ops[i].x1] = short[ops[i].x2] = short[ops[i].x3] = False
    for i in range(n_ops):
        ops[i].splats = short[ops[i].x1] | short[ops[i].x2] << 1 | short[ops[i].x3] << 2 | short[ops[i].x4] << 3
        if ops[i].splats and not is_phrase(&ops[i]):
            ops[i].op = AD_N_ELEMENTWISE + AD_N_PAIRS + alone[ops[i].op]
    for i in range(n_splats):
        if short[splats[i].reg]:
            splat = splats[n]
            splats[n] = splats[i]
            splats[i] = splat
            n += 1
    return n
