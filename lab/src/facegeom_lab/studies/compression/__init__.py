"""Networks made small and fast: one module a method, each a transformation of a module; their comparison."""
