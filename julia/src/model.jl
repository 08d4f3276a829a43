"""
    build_model(T, Z, R, b0, discount)

The POMDP of explicit arrays: `T[s, a, s′]`, `Z[s′, o]` (the same for every action), `R[s, a]` and `b0[s]`.
States, actions and observations are numbered from 1; the last state is terminal. Any array will do, NumPy's included.
"""
function build_model(T, Z, R, b0, discount::Real)
    transition = Array{Float64, 3}(T)
    seen = Matrix{Float64}(Z)
    gain = Matrix{Float64}(R)
    start = Vector{Float64}(b0)
    n_states, n_actions, _ = size(transition)
    check_shapes(transition, seen, gain, start)
    return DiscreteExplicitPOMDP(
        1:n_states,
        1:n_actions,
        1:size(seen, 2),
        (s, a, sp) -> transition[s, a, sp],
        (a, sp, o) -> seen[sp, o],
        (s, a) -> gain[s, a],
        Float64(discount),
        SparseCat(collect(1:n_states), start);
        terminals = Set([n_states]),
    )
end

function check_shapes(transition, seen, gain, start)
    n_states, n_actions, n_next = size(transition)
    shapes = (n_next, size(seen, 1), size(gain), length(start))
    expected = (n_states, n_states, (n_states, n_actions), n_states)
    shapes == expected || throw(DimensionMismatch("T, Z, R and b0 do not fit together: $shapes is not $expected"))
    return nothing
end
