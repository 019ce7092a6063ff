"""Networks made small and fast: one module for each method, which transforms a network; their comparison."""
