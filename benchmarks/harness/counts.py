"""What compiled programs do, read from their text."""

import collections
import math
import re


def instructions(program):
    """Those of a compiled program, names numbered as they come and metadata left out."""
    lines = [line for line in program.as_text().splitlines() if line.startswith("  ")]
    text = re.sub(r", metadata={[^}]*}", "", "\n".join(lines))
    names = {}
    return re.sub(r"%[\w.-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), text)


def operations(program):
    """Floating-point operations of a compiled program: XLA's count, in which the body of a loop counts once, and the
    matrix products, sums and products of all further rounds of loops.
    """
    cost = program.cost_analysis()
    computations, name = collections.defaultdict(list), None
    for line in program.as_text().splitlines():
        head = re.match(r"(?:ENTRY )?%?([\w.-]+) (?:\(.*\) -> .*)?{$", line)
        if head:
            name = head[1]
        elif name:
            computations[name].append(line)

    def arithmetic(name):
        """(operations of a computation with all that it calls, and those of them that XLA counts)."""
        total = counted = 0
        shapes = dict(re.findall(r"%([\w.-]+) = \w+\[([\d,]*)\]", "\n".join(computations[name])))
        for line in computations[name]:
            n = 0
            made = re.search(r" = b?f\d+\[([\d,]*)\]\S* (dot|add|subtract|multiply|divide)\(%([\w.-]+)", line)
            if made:
                n = math.prod(_sizes(made[1]))
            if made and made[2] == "dot":
                left = _sizes(shapes[made[3]])
                n *= 2 * math.prod(left[k] for k in _sizes(re.search(r"lhs_contracting_dims={([\d,]*)}", line)[1]))
            total, counted = total + n, counted + n
            rounds = re.search(r'"known_trip_count":{"n":"(\d+)"', line)
            for callee in re.findall(r"(?:body|calls|to_apply)=%?([\w.-]+)", line):
                inner, seen = arithmetic(callee)
                total, counted = total + inner * int(rounds[1] if rounds else 1), counted + seen
        return total, counted

    entry = re.search(r"^ENTRY %?([\w.-]+)", program.as_text(), re.MULTILINE)
    total, counted = arithmetic(entry[1])
    return int(cost.get("flops", 0) + total - counted)


def _sizes(text):
    return [int(n) for n in text.split(",") if n]
