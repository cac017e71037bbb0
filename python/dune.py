# SPDX-License-Identifier: Apache-2.0
"""libdune for Python: plans, packets, rows of features, data sets, the planner.

    import dune
    plan = dune.Plan.read("plan.json")
    classes = plan.classify_rows(rows, ["ip.len", "ip.ttl", ...])      # NumPy array or list of lists
    for r in plan.classify_capture("test.pcap"): ...

A thin layer over dune/dune.h by ctypes: no dependencies. With NumPy installed arrays go in and come out without being
copied where their type is right (uint32, rows one after another); without it lists do.

The library is looked for in $DUNE_LIBRARY, then where the system has it. Errors of the library are dune.Error.
"""
import ctypes as C
import ctypes.util
import os

try:
    import numpy
except ImportError:
    numpy = None

__all__ = ["Error", "Plan", "Classifier", "Dataset", "Result", "features", "version", "plan"]

FINAL, TENTATIVE, SETTLED, COLLISION, FLOW_LEVEL, INFERABLE, DROPPED = 1, 2, 4, 8, 16, 32, 64
API_VERSION = 1


class Error(Exception):
    """What the library says: code (enum dune_err), and the message with its place."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class _Diag(C.Structure):
    _fields_ = [("code", C.c_int), ("file", C.c_char * 512), ("line", C.c_uint64), ("offset", C.c_uint64),
                ("has_offset", C.c_int), ("place", C.c_char * 128), ("msg", C.c_char * 512)]


class _Input(C.Structure):
    _fields_ = [("data", C.c_void_p), ("cap_len", C.c_uint32), ("wire_len", C.c_uint32), ("ts_ns", C.c_uint64)]


class Result(C.Structure):
    """Of one packet or row: cls (0: none), confidence, submodel, flags, reason, device (65535: nowhere)."""
    _fields_ = [("cls", C.c_uint8), ("confidence", C.c_uint8), ("submodel", C.c_uint8), ("flags", C.c_uint8),
                ("reason", C.c_uint8), ("reserved", C.c_uint8), ("device", C.c_uint16)]

    def __repr__(self):
        return f"Result(cls={self.cls}, confidence={self.confidence}, flags={self.flags:#x}, reason={self.reason})"


class _ClassifierOptions(C.Structure):
    _fields_ = [("engine", C.c_char_p), ("slots", C.c_uint32), ("ways", C.c_uint32), ("reserved", C.c_uint64 * 6)]


class _DatasetOptions(C.Structure):
    _fields_ = [("train", C.POINTER(C.c_char_p)), ("n_train", C.c_size_t), ("test", C.POINTER(C.c_char_p)),
                ("n_test", C.c_size_t), ("labels", C.c_char_p), ("captures", C.c_char_p),
                ("label_field", C.c_char_p), ("unlabelled", C.c_char_p), ("timeout", C.c_char_p),
                ("max_n", C.c_uint32), ("threads", C.c_uint32), ("gateway", C.c_char_p), ("min_flows", C.c_uint32),
                ("reserved_too", C.c_uint32), ("reserved", C.c_uint64 * 4)]


class _PlanOptions(C.Structure):
    _fields_ = [("solution", C.c_char_p), ("budget", C.c_char_p), ("features", C.c_char_p), ("profile", C.c_char_p),
                ("effort", C.c_char_p), ("devices", C.c_uint32), ("threads", C.c_uint32), ("seed", C.c_uint64),
                ("time_limit_s", C.c_double), ("model", C.c_char_p), ("distill", C.c_char_p), ("reserved", C.c_uint64 * 4)]


class Score(C.Structure):
    """F1 (macro, weighted, micro) and coverage, 0..1."""
    _fields_ = [("macro", C.c_double), ("weighted", C.c_double), ("micro", C.c_double), ("coverage", C.c_double)]

    def __repr__(self):
        return f"Score(macro={self.macro:.4f}, weighted={self.weighted:.4f}, micro={self.micro:.4f}, " \
               f"coverage={self.coverage:.4f})"


class Scores(C.Structure):
    """packets, inferable, flows; flow and packet: a Score each (a flow weighs 1, a packet weighs 1)."""
    _fields_ = [("packets", C.c_uint64), ("inferable", C.c_uint64), ("flows", C.c_uint64), ("flow", Score),
                ("packet", Score), ("reserved", C.c_uint64 * 6)]


class _ScoreOptions(C.Structure):
    _fields_ = [("engine", C.c_char_p), ("labels", C.c_char_p), ("captures", C.c_char_p),
                ("label_field", C.c_char_p), ("gateway", C.c_char_p), ("reserved", C.c_uint64 * 5)]


_RESULT_FN = C.CFUNCTYPE(C.c_int, C.c_void_p, C.POINTER(_Input), C.POINTER(Result), C.c_size_t)
_P, _U, _I, _S, _N = C.c_void_p, C.c_uint, C.c_int, C.c_char_p, C.c_size_t
_D = C.POINTER(_Diag)
_FUNCTIONS = {  # name: (result, arguments)
    "dune_api_version": (_U, []), "dune_version": (_S, []),
    "dune_diag_format": (None, [_D, _S, C.c_uint32]),
    "dune_n_features": (_U, []), "dune_feature_name": (_S, [_U]),
    "dune_plan_read": (_I, [C.POINTER(_P), _S, _D]), "dune_plan_parse": (_I, [C.POINTER(_P), _S, _S, _N, _D]),
    "dune_plan_write": (_I, [_P, _S, _D]), "dune_plan_free": (None, [_P]),
    "dune_plan_n_classes": (_U, [_P]), "dune_plan_class_name": (_S, [_P, _U]),
    "dune_plan_n_submodels": (_U, [_P]), "dune_plan_n_devices": (_U, [_P]),
    "dune_plan_reads": (C.c_bool, [_P, _S]), "dune_result_reason": (_S, [_U]),
    "dune_classifier_new": (_I, [C.POINTER(_P), _P, C.POINTER(_ClassifierOptions), _D]),
    "dune_classifier_free": (None, [_P]), "dune_classifier_reset": (None, [_P]),
    "dune_classify": (_I, [_P, C.POINTER(_Input), _N, _P, _D]),
    "dune_classify_capture": (_I, [_P, _S, _RESULT_FN, _P, _D]),
    "dune_classify_rows": (_I, [_P, C.POINTER(_S), _N, _P, _N, _P, _D]),
    "dune_dataset_extract": (_I, [C.POINTER(_P), C.POINTER(_DatasetOptions), _D]),
    "dune_dataset_read": (_I, [C.POINTER(_P), _S, _D]), "dune_dataset_write": (_I, [_P, _S, _D]),
    "dune_dataset_free": (None, [_P]), "dune_dataset_n_rows": (C.c_uint64, [_P]),
    "dune_dataset_n_flows": (C.c_uint64, [_P]), "dune_dataset_n_classes": (_U, [_P]),
    "dune_dataset_class_name": (_S, [_P, _U]), "dune_dataset_column": (_P, [_P, _S]),
    "dune_dataset_flow_row": (_P, [_P]), "dune_dataset_flow_class": (_P, [_P]),
    "dune_dataset_flow_len": (_P, [_P]), "dune_dataset_flow_test": (_P, [_P]),
    "dune_plan_make": (_I, [C.POINTER(_P), _P, C.POINTER(_PlanOptions), C.POINTER(C.c_double), _D]),
    "dune_plan_score": (_I, [C.POINTER(Scores), _P, C.POINTER(_S), _N, C.POINTER(_ScoreOptions), _D]),
}


def _load():
    name = os.environ.get("DUNE_LIBRARY") or ctypes.util.find_library("dune") or "libdune.so.1"
    lib = C.CDLL(name)
    for function, (result, arguments) in _FUNCTIONS.items():
        f = getattr(lib, function)
        f.restype, f.argtypes = result, arguments
    if lib.dune_api_version() != API_VERSION:
        raise ImportError(f"{name} has interface {lib.dune_api_version()}, dune.py is for {API_VERSION}")
    return lib


_lib = _load()


def _call(function, *arguments):
    d = _Diag()
    code = getattr(_lib, function)(*arguments, C.byref(d))
    if code:
        text = C.create_string_buffer(1200)
        _lib.dune_diag_format(C.byref(d), text, len(text))
        raise Error(code, text.value.decode(errors="replace"))


def _bytes(text):
    return None if text is None else os.fsencode(text)


def _strings(items):
    if isinstance(items, (str, bytes, os.PathLike)):
        items = [items]
    data = [_bytes(i) for i in items or []]
    return (C.c_char_p * len(data))(*data), len(data)


def version():
    """Of the library."""
    return _lib.dune_version().decode()


def features():
    """Names of all features there are."""
    return [_lib.dune_feature_name(i).decode() for i in range(_lib.dune_n_features())]


def _results(n):
    """Room for n results: what is handed out, and its address."""
    if numpy is not None:
        out = numpy.zeros(n, dtype=numpy.dtype(Result))
        return out, out.ctypes.data_as(C.c_void_p)
    out = (Result * n)()
    return out, C.cast(out, C.c_void_p)


def _matrix(rows):
    """(address, number of rows, number of columns, what keeps the memory)."""
    if numpy is not None:
        a = numpy.asarray(rows)
        if a.ndim != 2:
            raise ValueError("rows are a table of two dimensions")
        if a.dtype != numpy.uint32:
            if a.size and (a.min() < 0 or a.max() > 0xffffffff or (a != a.astype(numpy.int64)).any()):
                raise ValueError("features are integers from 0 to 2^32 - 1")
            a = a.astype(numpy.uint32)
        a = numpy.ascontiguousarray(a)
        return a.ctypes.data_as(C.c_void_p), a.shape[0], a.shape[1], a
    rows = [list(r) for r in rows]
    width = len(rows[0]) if rows else 0
    if any(len(r) != width for r in rows):
        raise ValueError("all rows must have as many columns")
    if any(not 0 <= v <= 0xffffffff for r in rows for v in r):
        raise ValueError("features are integers from 0 to 2^32 - 1")
    a = (C.c_uint32 * (len(rows) * width))(*[v for r in rows for v in r])
    return C.cast(a, C.c_void_p), len(rows), width, a


class _Object:
    """Something of the library's: its handle, read from a file, written to one, given back in the end. _kind: the name in
    its functions."""

    def __init__(self, handle):
        self._handle = handle

    def __del__(self):
        if getattr(self, "_handle", None):
            getattr(_lib, f"dune_{self._kind}_free")(self._handle)

    @classmethod
    def read(cls, path):
        handle = C.c_void_p()
        _call(f"dune_{cls._kind}_read", C.byref(handle), _bytes(path))
        return cls(handle)

    def write(self, path):
        _call(f"dune_{self._kind}_write", self._handle, _bytes(path))


class Plan(_Object):
    """A plan. classes[c] is the name of class c of a Result; classes[0] is ""."""
    _kind = "plan"

    def __init__(self, handle):
        super().__init__(handle)
        self.classes = [_lib.dune_plan_class_name(handle, c).decode()
                        for c in range(_lib.dune_plan_n_classes(handle) + 1)]
        self.n_submodels = _lib.dune_plan_n_submodels(handle)
        self.n_devices = _lib.dune_plan_n_devices(handle)
        self.train_macro = None  # of a plan that was made here

    @classmethod
    def parse(cls, text, name="plan"):
        data = text.encode() if isinstance(text, str) else bytes(text)
        handle = C.c_void_p()
        _call("dune_plan_parse", C.byref(handle), _bytes(name), data, len(data))
        return cls(handle)

    @property
    def features(self):
        """Names of the features that its sub-models read."""
        return [f for f in features() if _lib.dune_plan_reads(self._handle, f.encode())]

    def classify_rows(self, rows, columns):
        """Results of rows of integers; columns names their features. Times are ticks of 1.024 us."""
        names, n = _strings(list(columns))
        address, n_rows, width, keep = _matrix(rows)
        if n_rows and width != n:
            raise ValueError(f"{width} columns and {n} names")
        out, at = _results(n_rows)
        _call("dune_classify_rows", self._handle, names, n, address, n_rows, at)
        del keep
        return out

    def classifier(self, **options):
        return Classifier(self, **options)

    def classify_capture(self, path, **options):
        """Results of all packets of a capture file."""
        return Classifier(self, **options).capture(path)

    def names(self, results):
        """Class names of results; "" where there is none."""
        if numpy is not None and isinstance(results, numpy.ndarray):
            return numpy.array(self.classes, dtype=object)[results["cls"]]
        return [self.classes[r.cls] for r in results]

    def score(self, captures, labels, list=None, label_field=None, engine=None, gateway=None):
        """Sends capture files (files, globs, directories) through the devices and scores the verdicts. labels: a file, or
        "ndpi", "ndpi-protocol", "ndpi-category"."""
        paths, n = _strings(captures)
        o = _ScoreOptions(engine=_bytes(engine), labels=_bytes(labels), captures=_bytes(list),
                          label_field=_bytes(label_field), gateway=_bytes(gateway))
        out = Scores()
        _call("dune_plan_score", C.byref(out), self._handle, paths, n, C.byref(o))
        return out


class Classifier:
    """All devices of a plan in a row. One thread at a time; engine: fast (default), reference or xdp."""

    def __init__(self, plan, engine=None, slots=0, ways=0):
        self.plan = plan  # must live as long as this
        self._handle = C.c_void_p()
        o = _ClassifierOptions(engine=_bytes(engine), slots=slots, ways=ways)
        _call("dune_classifier_new", C.byref(self._handle), plan._handle, C.byref(o))

    def __del__(self):
        if getattr(self, "_handle", None):
            _lib.dune_classifier_free(self._handle)

    def reset(self):
        """Forgets all flows."""
        _lib.dune_classifier_reset(self._handle)

    def classify(self, frames, times_ns, wire_lens=None):
        """Results of Ethernet frames (bytes) in the order in which they came. Flows go on from call to call."""
        frames = [bytes(f) for f in frames]
        n = len(frames)
        if len(times_ns) != n:
            raise ValueError("a time for every frame")
        a = (_Input * n)()
        for i, f in enumerate(frames):
            a[i] = _Input(C.cast(C.c_char_p(f), C.c_void_p), len(f), wire_lens[i] if wire_lens else 0, int(times_ns[i]))
        out, at = _results(n)
        _call("dune_classify", self._handle, a, n, at)
        return out

    def capture(self, path):
        """Results of all packets of a capture file; flows of before are forgotten first."""
        parts = []

        def take(_ctx, _inputs, results, n):
            parts.append(C.string_at(results, n * C.sizeof(Result)))
            return 0

        _call("dune_classify_capture", self._handle, _bytes(path), _RESULT_FN(take), None)
        data = bytearray(b"".join(parts))
        n = len(data) // C.sizeof(Result)
        if numpy is not None:
            return numpy.frombuffer(data, dtype=numpy.dtype(Result), count=n)
        return (Result * n).from_buffer(data)


class Dataset(_Object):
    """Flows and the first packets of each as rows of features. Arrays are lent: they keep the data set alive."""
    _kind = "dataset"

    def __init__(self, handle):
        super().__init__(handle)
        self.n_rows = _lib.dune_dataset_n_rows(handle)
        self.n_flows = _lib.dune_dataset_n_flows(handle)
        self.classes = [_lib.dune_dataset_class_name(handle, c).decode()
                        for c in range(_lib.dune_dataset_n_classes(handle))]

    @classmethod
    def extract(cls, train, labels, test=None, captures=None, label_field=None, unlabelled=None, timeout=None, max_n=0,
                threads=0, gateway=None, min_flows=0):
        """From capture files, globs or directories (one with train/ and test/ in it gives both). labels: a file, or "ndpi",
        "ndpi-protocol", "ndpi-category"."""
        a, n_a = _strings(train)
        b, n_b = _strings(test)
        o = _DatasetOptions(train=a, n_train=n_a, test=b, n_test=n_b, labels=_bytes(labels), captures=_bytes(captures),
                            label_field=_bytes(label_field), unlabelled=_bytes(unlabelled),
                            timeout=None if timeout is None else str(timeout).encode(), max_n=max_n, threads=threads,
                            gateway=_bytes(gateway), min_flows=min_flows)
        handle = C.c_void_p()
        _call("dune_dataset_extract", C.byref(handle), C.byref(o))
        return cls(handle)

    def _lend(self, address, kind, n):
        array = (kind * n).from_address(address) if n else (kind * 0)()
        array._dataset = self
        if numpy is None:
            return array
        view = numpy.ctypeslib.as_array(array)
        view.flags.writeable = False
        return view

    def column(self, feature):
        """One feature of all rows."""
        address = _lib.dune_dataset_column(self._handle, feature.encode())
        if not address:
            raise KeyError(feature)
        return self._lend(address, C.c_uint32, self.n_rows)

    def table(self, columns):
        """Rows x columns, a copy: what Plan.classify_rows takes."""
        data = [self.column(c) for c in columns]
        if numpy is not None:
            return numpy.stack(data, axis=1) if data else numpy.zeros((self.n_rows, 0), numpy.uint32)
        return [list(r) for r in zip(*data)]

    @property
    def flow_row(self):
        """Rows of flow f are flow_row[f] to flow_row[f + 1] - 1."""
        return self._lend(_lib.dune_dataset_flow_row(self._handle), C.c_uint64, self.n_flows + 1)

    @property
    def flow_class(self):
        return self._lend(_lib.dune_dataset_flow_class(self._handle), C.c_uint16, self.n_flows)

    @property
    def flow_len(self):
        """Packets of the whole flow."""
        return self._lend(_lib.dune_dataset_flow_len(self._handle), C.c_uint64, self.n_flows)

    @property
    def flow_test(self):
        """1: of the test split."""
        return self._lend(_lib.dune_dataset_flow_test(self._handle), C.c_uint8, self.n_flows)


def plan(dataset, solution=None, budget=None, devices=0, features=None, profile=None, effort=None, seed=0, threads=0,
         time_limit_s=0.0, model=None, distill=None):
    """The planner: from the train flows of a data set to a plan; plan.train_macro says how good it looked there."""
    o = _PlanOptions(solution=_bytes(solution), budget=_bytes(budget), features=_bytes(features),
                     profile=_bytes(profile), effort=_bytes(effort), devices=devices, threads=threads, seed=seed,
                     time_limit_s=time_limit_s, model=_bytes(model), distill=_bytes(distill))
    handle, macro = C.c_void_p(), C.c_double()
    _call("dune_plan_make", C.byref(handle), dataset._handle, C.byref(o), C.byref(macro))
    made = Plan(handle)
    made.train_macro = macro.value
    return made
