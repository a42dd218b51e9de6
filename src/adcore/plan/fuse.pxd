from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t
from adcore.plan.loops cimport Tiling
from adcore.plan.pool cimport Pool
from adcore.tape.program cimport Instr, Program, arg, same_shape
from adcore.tape.shelf cimport Shelf

cdef enum GroupKind:
    BLOCKS = 0      # elementwise instructions over one iteration space, block by block
    SCALARS = 1     # scalar instructions, level by level
    SINGLE = 2      # one instruction with a step of its own

cdef enum Role:         # from FILLED to COMPUTED: values that blocks may keep in a register
    LEAF = 0        # bound by the run: input, const, literal, scalar
    FILLED = 1      # full, empty: no memory until somebody needs it
    MAPPED = 2      # view: read through its map, no memory until somebody needs it
    COMPUTED = 3    # elementwise
    STORED = 4      # written through a map: sum, reduce_*, accumulate, update
    OPAQUE = 5      # a step of its own

cdef struct Seed:               # a group while the fusion pass runs
    uint8_t kind
    int32_t space               # offset of its iteration space in program.ints
    int32_t count, most         # members; how many there may be
    int32_t head, tail          # members, a list through Fusion.next_member
    int32_t previous            # the group before it over the same space

cdef struct Reader:             # one read of a value's memory
    int32_t group
    int32_t next                # next reader of the same value, -1 at the end
    uint8_t whole               # read otherwise than through the map below
    int64_t offset
    const int64_t *strides
    int32_t space

cdef enum Reach:
    DIRECT = 0      # element i of the space is element i of the root
    SCALAR = 1      # the same scalar for every element
    THROUGH = 2     # through the map of a view

cdef struct Operand:            # how an argument is reached in an iteration space
    int32_t root                # the value whose memory or register is read
    uint8_t scalar              # the same scalar for every element
    uint8_t direct              # element i of the space is element i of the root
    int64_t offset
    int64_t step                # elements it moves from tile to tile of a loop
    const int64_t *strides      # NULL when scalar or direct
    const int64_t *window       # its box, and what lies around it (plan/windows); NULL: the map holds everywhere

cdef struct LoopGroups:         # groups [first, end) repeat
    int32_t first, end


@final
cdef class Fusion:
    cdef Program program
    cdef Shelf shelf            # holds the columns
    cdef uint8_t *role          # Role of each instruction
    cdef uint8_t *reach         # how a value is read where it is not computed: Reach, and from which root
    cdef int32_t *root
    cdef uint8_t *rewritten     # a store starts from the value: who reads it must be known
    cdef uint8_t *demanded      # a view or fill that somebody needs in memory
    cdef uint8_t *in_memory     # a computed value that lives in memory, not only in a register
    cdef uint8_t *is_output
    cdef uint8_t *prepared      # an update that is made when the memory of its one user is prepared
    cdef uint8_t *kept          # a view that is copied, because its array is written over before it is read
    cdef int32_t *base_user     # the first store that starts from the value
    cdef int32_t *last_user
    cdef uint8_t *n_stores      # how many stores start from the value, up to 2
    cdef uint8_t *elsewhere     # a view that others than blocks read
    cdef int32_t *first_view    # views of a value that nobody needs in memory, a list through next_view
    cdef int32_t *next_view
    cdef int32_t *group_of      # -1: no group (leaf, or reached through a map)
    cdef int32_t *next_member
    cdef int32_t *n_users
    cdef int32_t *first_reader
    cdef int32_t *last_use      # last group that needs the value in memory
    cdef Pool groups            # Seed
    cdef Pool readers           # Reader
    cdef int32_t[256] newest    # newest group per hashed space
    cdef Tiling tiling          # None: no loops
    cdef Pool loops             # LoopGroups, one for each loop of the tiling
    cdef int32_t floor          # first group that is open to what is placed now

    cdef bint in_one_stretch(self, int32_t group, int32_t other) noexcept
    cdef int keep_through_loops(self) except -1
    cdef int place(self, int32_t value) except -1

    cdef void find_reach(self, int32_t value) noexcept
    cdef Operand operand(self, int32_t value, bint own=*) noexcept
    cdef void keep(self, int32_t view) noexcept
    cdef int add_reader(self, int32_t root, int32_t group, uint8_t whole, int64_t offset,
                        const int64_t *strides, int32_t space) except -1
    cdef int32_t root_in(self, int32_t value, int32_t group, bint own=*) noexcept
    cdef int32_t before_group(self, int32_t value, int32_t group) noexcept
    cdef bint only_rewritten(self, int32_t base, int32_t group) noexcept

    cdef inline uint8_t reach_of(self, int32_t value, bint own) noexcept:
        """How a value is read; ``own``: by itself, as a view in memory reads its array."""
        return THROUGH if own and self.kept[value] else self.reach[value]

    cdef inline int32_t root_of(self, int32_t value, bint own) noexcept:
        return self.program.code[value].x1 if own and self.kept[value] else self.root[value]

    cdef inline int32_t read_by(self, int32_t value, int k) noexcept:
        """Argument k, or the instruction itself when it is a view or fill in memory: it is read through its own map."""
        if self.role[value] == MAPPED or self.role[value] == FILLED:
            return value
        return arg(&self.program.code[value], self.program.ints, k)

    cdef inline bint can_join(self, int32_t group, GroupKind kind, int32_t space) noexcept:
        """Has a group of this kind and space room?"""
        cdef const Seed *seed = (<const Seed *>self.groups.data) + group
        return seed.kind == kind and seed.count < seed.most and same_shape(self.program.ints, seed.space, space)

    cdef inline bint in_register(self, int32_t root, int32_t group) noexcept:
        """Is the value in a register while this group runs?"""
        return (self.group_of[root] == group and FILLED <= self.role[root] <= COMPUTED
                and (<Seed *>self.groups.data)[group].kind == BLOCKS)

    cdef bint may_run_in_place(self, int32_t store) noexcept
    cdef int32_t space_of(self, int32_t value) noexcept
    cdef int32_t open_group(self, GroupKind kind, int32_t space) except -1
    cdef int32_t room_for(self, GroupKind kind, int32_t space) noexcept
    cdef int bucket(self, GroupKind kind, int32_t space) noexcept
    cdef int32_t choose(self, GroupKind kind, int32_t space, int32_t earliest) except -1
    cdef int join(self, int32_t group, int32_t value) except -1
    cdef int32_t after(self, int32_t root, bint same_group) noexcept
    cdef int record_reads(self, int32_t value, bint placing) except -1
    cdef int sink(self) except -1
    cdef void list_members(self) noexcept
    cdef int record_all(self) except -1
    cdef int place_scalar(self, int32_t value) except -1
    cdef int place_computed(self, int32_t value, int first_arg) except -1
    cdef int32_t after_base(self, int32_t store, int32_t earliest, int32_t *chained) noexcept
    cdef bint clobbers(self, int32_t store, int32_t group) noexcept
    cdef bint replaces(self, int32_t store) noexcept
    cdef bint is_prepared(self, int32_t value) noexcept
    cdef void add_base(self, int32_t base, int32_t group) noexcept
    cdef int place_opaque(self, int32_t value) except -1
    cdef int demand(self) except -1

cdef Role role_of(int op) noexcept nogil
cdef bint starts_from_base(int op) noexcept nogil
cdef Fusion fuse(Program program, Tiling tiling=*)
