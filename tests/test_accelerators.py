"""What can be known of accelerators without one: everything lowers for CUDA and TPU, and what a TPU would run."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from harness import programs, traffic  # noqa: E402

CASES = [
    *programs.products_of(jnp.float32, 64, 128, (2,)),
    *programs.layers(jnp.bfloat16, 64, 8, lmax=1),
    *programs.transforms(jnp.float32, 8),
    *programs.models(jnp.float32, 16, 64, 8),
]


def lowered(f, arguments):
    return jax.export.export(jax.jit(f), platforms=["cuda", "tpu"])(*arguments).mlir_module()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_lowers_for_cuda_and_tpu(case):
    """With the gradient where a training step takes one."""
    text = lowered(*(case.backward() if case.gradient else (case.f, case.arguments)))
    assert traffic.largest_constant(text) < 4 * 2**20


@pytest.mark.parametrize("degree", [14, 20])
def test_no_large_constants_at_high_degrees(degree):
    """On all platforms, by plain routes and fused kernels; 14 is the last degree of sectors under reflections."""
    for case in programs.products_of(jnp.float32, 8, 4, (degree,)):
        text = lowered(case.f, case.arguments)
        assert 10_000 < traffic.largest_constant(text) < 4 * 2**20


def test_what_has_no_lowering_is_seen():
    with pytest.raises(NotImplementedError, match="schur"):
        jax.export.export(jax.jit(jax.scipy.linalg.schur), platforms=["tpu"])(jax.ShapeDtypeStruct((3, 3), jnp.float32))


PROGRAM = """
%fused (p.1: f32[16,128]) -> f32[16,128] {
  %p.1 = f32[16,128]{1,0:T(8,128)} parameter(0)
  ROOT %a.1 = f32[16,128]{1,0:T(8,128)} add(%p.1, %p.1)
}

%body (s: (s32[], f32[16,128])) -> (s32[], f32[16,128]) {
  %s = (s32[]{:T(128)}, f32[16,128]{1,0:T(8,128)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  %v = f32[16,128]{1,0:T(8,128)} get-tuple-element(%s), index=1
  %w = f32[16,128]{1,0:T(8,128)} fusion(%v), kind=kLoop, calls=%fused
  ROOT %t = (s32[]{:T(128)}, f32[16,128]{1,0:T(8,128)}) tuple(%i, %w)
}

ENTRY %main (x: f32[16,128], y: bf16[5,3]) -> f32[16,128] {
  %x = f32[16,128]{1,0:T(8,128)} parameter(0)
  %y = bf16[5,3]{1,0:T(8,128)(2,1)} parameter(1)
  %fast = f32[16,128]{1,0:T(8,128)S(1)} fusion(%x), kind=kLoop, calls=%fused
  %start = (f32[16,128]{1,0:T(8,128)}, f32[16,128]{1,0:T(8,128)S(1)}, u32[]{:S(2)}) copy-start(%fast)
  %done = f32[16,128]{1,0:T(8,128)} copy-done(%start)
  %part = ((f32[16,128]{1,0:T(8,128)}), f32[8,128]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%x)
  %wide = f32[5,3]{1,0:T(8,128)} convert(%y)
  %zero = s32[]{:T(128)} constant(0)
  %state = (s32[]{:T(128)}, f32[16,128]{1,0:T(8,128)}) tuple(%zero, %done)
  %loop = (s32[]{:T(128)}, f32[16,128]{1,0:T(8,128)}) while(%state), condition=%c, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
  ROOT %z = f32[16,128]{1,0:T(8,128)} get-tuple-element(%loop), index=1
}
"""


@pytest.mark.core
def test_traffic_of_a_known_program():
    """Of 8 kB arrays: one read for `fast`, one written by the copy, half a one read by a slice, 3 rounds of 2."""
    assert traffic.main_memory(PROGRAM) == 8192 * (1 + 1 + 3 * 2) + 4096 + 2048 + 4096
    assert traffic.least(PROGRAM) == 8192 * 2 + 2048
    assert traffic.wide_copies(PROGRAM) == [("wide", "f32[5,3]{1,0:T(8,128)}")]
    assert traffic.array_bytes("f32[49,1000,128]{2,1,0:T(8,128)}") == 49 * 1000 * 128 * 4
    assert traffic.array_bytes("bf16[1000,49,100]{2,0,1:T(8,128)(2,1)}") == 49 * 1000 * 128 * 2


@pytest.mark.core
def test_wide_copies_in_tuples():
    """A second result of an instruction is one; a result of the program is none, nor is what fills a tile anyway."""
    text = """
ENTRY %main (y: bf16[5,3], e: bf16[2]) -> (f32[5,3], bf16[2]) {
  %y = bf16[5,3]{1,0:T(8,128)(2,1)} parameter(0)
  %e = bf16[2]{0:T(256)(128)(2,1)} parameter(1)
  %some = (f32[5,3]{1,0:T(8,128)}, f32[3,5]{0,1:T(8,128)}, f32[2]{0:T(128)}) fusion(%y, %e), kind=kLoop, calls=%f
  %out = f32[5,3]{1,0:T(8,128)} get-tuple-element(%some), index=0
  ROOT %both = (f32[5,3]{1,0:T(8,128)}, bf16[2]{0:T(256)(128)(2,1)}) tuple(%out, %e)
}
"""
    assert traffic.wide_copies(text) == [("some", "f32[3,5]{0,1:T(8,128)}")]
    assert traffic.wide_arrays(text) == [("some", "f32[3,5]{0,1:T(8,128)}"), ("some", "f32[2]{0:T(128)}")]


@pytest.fixture
def compiled(tmp_path):
    """What aot.py finds for a set of programs on a topology, in a process of its own."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: pip install -e '.[tpu-aot]'")

    def compile(*arguments):
        out = tmp_path / "aot.jsonl"
        command = [sys.executable, str(BENCHMARKS / "aot.py"), *arguments, "--json", str(out)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}, timeout=300)
        return list(map(json.loads, out.read_text().splitlines()))

    return compile


def test_products_do_not_spill(compiled):
    """Main-memory traffic is the least possible but for tables, with the gradient too; no copy in float32."""
    found = compiled("--only", "selection", "--topologies", "v5e:2x2")
    for record in found:
        name = record["case"], record["mode"], record["dtype"]
        assert "error" not in record, name
        assert record["dtype"] == "float32" or record["wide_copies"] == record["wide_bytes"] == 0, name
        assert record["traffic"] < 1.1 * record["least"], name
        assert record["kernels"] == 1
    assert len(found) == 12


def test_sixteen_chips_meet_in_collectives(compiled):
    """A step of training on structures that are split over them sums its gradient once, in few messages."""
    (record,) = compiled("--only", "many", "--topologies", "v5e:4x4", "--small")
    assert record["devices"] == 16
    assert record["collectives"]["all-reduce"] in (1, 2, 3)
    assert set(record["collectives"]) == {"all-reduce"}
