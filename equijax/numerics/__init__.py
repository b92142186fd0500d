"""The ground floor: linear algebra with right derivatives, safe functions, primitives that lower on every platform."""
