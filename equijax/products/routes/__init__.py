"""The ways of computing a product, one a file. What a route gives is one function

    contract(form, known, outs)

that contracts a multilinear form with all of its arguments but one (see `form.Multilinear`): a list of the ∂T/∂(out),
one for each `form.Out` in `outs`, of its shape and dtype. `form` is the description of the form, such as
`trilinear.Trilinear`; `known` has the arguments by number, arrays (..., coefficients, channels) of the same rank.

- `couplings`: sums over the couplings that are not zero, written out; of products, and of paths (`contract_paths`).
- `grid`: values on a grid and back, by any of the `spherical.transforms`, which the description names as `method`.
- `matrices`: paths as matrix products.
- `tpu`: the same sums and grids in one kernel that spills nothing, with the arithmetic of one tile in `tiles`.

A kernel for another platform is one more file. It is handed to `form.Multilinear` as the `kernels` of that platform;
`planner` says when it is taken; and what one tile has to do is in `tiles` already.
"""
