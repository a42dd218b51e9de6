/* Versions that Python keeps of dicts and types: the same number means that nothing has changed. 0 where there is none. */
#ifndef AD_VERSIONS_H
#define AD_VERSIONS_H
#include <Python.h>
#include <stdint.h>

static inline uint64_t ad_dict_version(PyObject *dict) {
#if PY_VERSION_HEX < 0x030D0000 && !defined(Py_GIL_DISABLED)
    _Py_COMP_DIAG_PUSH
    _Py_COMP_DIAG_IGNORE_DEPR_DECLS
    return ((PyDictObject *)dict)->ma_version_tag;
    _Py_COMP_DIAG_POP
#else
    return 0;
#endif
}

static inline uint64_t ad_type_version(PyObject *type) {
    return ((PyTypeObject *)type)->tp_version_tag;
}

#endif
