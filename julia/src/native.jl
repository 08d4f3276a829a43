"""
    solve_native(model; precision, max_steps, max_time, largest_return)

NativeSARSOP until the bounds at the initial belief are `precision` apart (absolute), for at most `max_steps` iterations and
`max_time` seconds.

Its default initial bounds stop at a coarse residual and can be invalid at a discount near 1. Both are therefore iterated until they stand
still, the upper one downwards from `largest_return`, which no return exceeds.
"""
function solve_native(model; precision::Real, max_steps::Integer, max_time::Real, largest_return::Real)
    solver = NativeSARSOP.SARSOPSolver(;
        precision = Float64(precision),
        max_steps = Int(max_steps),
        max_time = Float64(max_time),
        verbose = true,
        init_lower = NativeSARSOP.BlindLowerBound(; bel_res = 1e-9, max_time = bound_time(max_time)),
        init_upper = NativeSARSOP.FastInformedBound(;
            bel_res = 1e-8, max_time = bound_time(max_time), init_value = Float64(largest_return),
        ),
    )
    policy, info = POMDPTools.solve_info(solver, model)
    steps = hasproperty(info, :iter) ? Int(info.iter) : -1
    return Outcome(policy; lower = info.tree.V_lower[1], upper = info.tree.V_upper[1], steps)
end

"Seconds for each initial bound."
bound_time(max_time) = max(5.0, Float64(max_time) / 4)
