"""What a program compiled for a TPU moves through its main memory, read from its text."""

import math
import re

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota", "after-all", "partition-id"}
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:{([\d,]*)(?::([^}]*))?})?")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][\w-]*)\((.*)$")


def main_memory(text):
    """Bytes that the instructions of a program read from main memory and write to it, in tiles, loops in full.

    Of every instruction but those that move nothing, the result and all operands that are not in fast memory, which a
    layout marks by S(1); of a pair that starts and ends a copy, the source and the destination once.
    """
    computations, entry = _computations(text)
    return _traffic(computations, entry)


def least(text):
    """Bytes of all arguments and results of a program, in tiles, each once."""
    computations, entry = _computations(text)
    lines = computations[entry].values()
    arguments = sum(_bytes(result) for result, name, *_ in lines if name == "parameter")
    return arguments + sum(_bytes(result) for result, _, _, root in lines if root)


def collectives(text):
    """How many instructions of each kind let the devices of a program speak to each other: name to number."""
    computations, _ = _computations(text)
    names = [name.removesuffix("-start") for lines in computations.values() for _, name, *_ in lines.values()]
    return {kind: names.count(kind) for kind in COLLECTIVES if kind in names}


def wide_arrays(text):
    """Arrays of float32 that instructions leave in main memory: (name, type).

    The arguments and results of the program do not count, nor what a loop makes and does not hand on.
    """
    computations, entry = _computations(text)
    lines, results = computations[entry], set()
    for name, (_, operation, rest, root) in lines.items():
        if root:
            results = {_source(lines, name) for name in (_operands(rest) if operation == "tuple" else [name])}
    return [
        (name, array[0])
        for name, (result, operation, *_) in lines.items()
        if operation not in _FREE and not operation.endswith("-start")
        for i, array in enumerate(_ARRAY.finditer(result))
        if array[1] == "f32" and array_bytes(array[0]) and (name, i) not in results
    ]


def wide_copies(text):
    """Those of `wide_arrays` that are as large as a bfloat16 argument or result, in more bytes."""
    computations, entry = _computations(text)
    least_bytes = {}
    for result, operation, _, root in computations[entry].values():
        for array in _ARRAY.finditer(result if operation == "parameter" or root else ""):
            if array[1] == "bf16" and (count := _count(array[2])) > 1:
                size = array_bytes(array[0], in_main_memory=False)
                least_bytes[count] = min(size, least_bytes.get(count, size))
    return [
        (name, array)
        for name, array in wide_arrays(text)
        if array_bytes(array) > least_bytes.get(_count(_ARRAY.match(array)[2]), math.inf)
    ]


def array_bytes(shape, in_main_memory=True):
    """Bytes of an array such as f32[49,16384,128]{2,1,0:T(8,128)} in tiles; 0 in fast memory, unless that counts."""
    kind, dims, order, rest = _ARRAY.match(shape).groups()
    if in_main_memory and rest and "S(" in rest:
        return 0
    sizes = [int(n) for n in dims.split(",") if n]
    tile = re.search(r"T\(([\d,]*)\)", rest or "")
    if tile and order:
        tile = [int(n) for n in tile[1].split(",")]
        minor = [int(n) for n in order.split(",")][: len(tile)]
        for axis, n in zip(minor, reversed(tile), strict=False):
            sizes[axis] = -(-sizes[axis] // n) * n
    bits = 8 if kind == "pred" else int(re.search(r"\d+$|\d+(?=e)", kind)[0]) if re.search(r"\d", kind) else 0
    return math.prod(sizes) * bits // 8


def largest_constant(text):
    """Bytes of the largest array that a program holds as a constant: StableHLO text."""
    found = re.findall(r"stablehlo\.constant dense<.*?> : tensor<((?:\d+x)*)([a-z]+)(\d+)>", text)
    return max((math.prod(int(n) for n in dims.split("x") if n) * int(bits) // 8 for dims, _, bits in found), default=0)


def _source(lines, name):
    """The instruction that makes an array, and which of its results that is."""
    _, operation, rest, _ = lines[name]
    if operation == "get-tuple-element":
        return _operands(rest)[0], int(re.search(r"index=(\d+)", rest)[1])
    return name, 0


def _count(dims):
    return math.prod(int(n) for n in dims.split(",") if n)


def _computations(text):
    """For every computation, its instructions: name to (result, operation, rest, whether it is the root)."""
    computations, entry, current = {}, None, None
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.-]+) (?:\(.*\) -> .*)?{$", line)
        if head:
            current = computations[head[2]] = {}
            entry = head[2] if head[1] else entry
        elif current is not None and (found := _INSTRUCTION.match(line)):
            name, result, operation, rest = found.groups()
            current[name] = result, operation, rest, line.lstrip().startswith("ROOT")
    return computations, entry


def _traffic(computations, name):
    lines, total = computations[name], 0
    for result, operation, rest, _ in lines.values():
        if operation == "while":
            rounds = re.search(r'"known_trip_count":{"n":"(\d+)"', rest)
            body = re.search(r"body=%?([\w.-]+)", rest)[1]
            total += int(rounds[1] if rounds else 1) * _traffic(computations, body)
        elif operation == "call":
            total += _traffic(computations, re.search(r"to_apply=%?([\w.-]+)", rest)[1])
        elif operation not in _FREE and not operation.endswith("-done"):
            made = _destination(result, operation) if operation.endswith("-start") else result
            total += _bytes(made)
            operands = [lines[name][0] for name in _operands(rest) if name in lines]
            if operation == "slice-start":  # reads no more of its source than it copies
                total += array_bytes(made, in_main_memory=False) if _bytes(operands[0]) else 0
            else:
                total += sum(map(_bytes, operands))
    return total


def _bytes(result):
    """Bytes in main memory of an array or a tuple."""
    return sum(array_bytes(found[0]) for found in _ARRAY.finditer(result))


def _destination(result, operation):
    """Of the tuple that a `-start` makes: (destination, source, ...) for a copy, ((sources), destination, ...) else."""
    arrays = [found[0] for found in _ARRAY.finditer(result)]
    if operation == "copy-start":
        return arrays[0]
    depth = result[1:].find(")") if result.startswith("((") else -1
    sources = len(_ARRAY.findall(result[: depth + 1])) if depth >= 0 else 1
    return arrays[sources]


def _operands(rest):
    """The names in the parenthesis of an instruction, which `rest` begins in."""
    depth = 1
    for end, letter in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return re.findall(r"%([\w.-]+)", rest[:end])
    return re.findall(r"%([\w.-]+)", rest)
