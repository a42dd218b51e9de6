"""What has no derivative here, and why: the reasons stand in the errors and in docs/coverage.md."""

from __future__ import annotations

from .dispatch import REFUSED, REFUSED_MODULES, UFUNCS_ON_VALUES, on_values, refused

refused("it reads text or bytes", "fromfile", "fromstring", "genfromtxt", "loadtxt")
refused("its elements are bits", "packbits", "unpackbits")
refused("its arguments are integers", "ravel_multi_index", "unravel_index")
refused("its arguments are dates", "busday_count", "busday_offset", "is_busday", "datetime_as_string")
refused("roots may be complex, and multiple ones have no derivative: use np.linalg.eigvals of the companion matrix", "roots")
refused("its result is complex", "sort_complex")
refused("NumPy has dropped it: use np.isin", "in1d")
refused("it makes arrays from indices alone: call the function on np.indices(...)", "fromfunction")
refused("write it with np.polyval", *(f"polynomial.polynomial.{name}" for name in ("polyval2d", "polygrid2d", "polyvalnd", "polygridnd")))
REFUSED_MODULES.update(
    {
        "numpy.lib.recfunctions": "its arrays are structured: differentiate the fields",
        "numpy.strings": "its arguments are strings",
        "numpy.char": "its arguments are strings",
    }
)

UFUNCS_ON_VALUES.update({"isnat"})
REFUSED.update(
    dict.fromkeys(
        "_center _expandtabs _expandtabs_length _ljust _lstrip_chars _lstrip_whitespace _partition _partition_index _replace _rjust "
        "_rpartition _rpartition_index _rstrip_chars _rstrip_whitespace _slice _strip_chars _strip_whitespace _zfill count endswith find "
        "index isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle isupper rfind rindex startswith str_len".split(),
        "its arguments are strings",
    )
)
REFUSED.update(dict.fromkeys("bitwise_count gcd lcm left_shift right_shift".split(), "its arguments are integers"))
REFUSED.update(dict.fromkeys(["_ones_like"], "it is internal to NumPy"))

BYTES = "the meaning of the bytes decides the derivative"
REFUSED.update({f"ndarray.{name}": BYTES for name in "byteswap dump dumps getfield setfield tofile ctypes data".split()})
REFUSED["ndarray.resize"] = "it changes the size in place: use np.resize"

on_values("save", "savetxt", "savez", "savez_compressed", "linalg.matrix_rank", "common_type", "result_type")
