"""
What a solve gives.

- `alphas`: one row an alpha-vector, `[n_alphas, n_states]`.
- `actions`: the action of each, numbered from 1.
- `lower`, `upper`: bounds on the value at the initial belief; `NaN` where the solver does not hand them over.
- `steps`: iterations, -1 where unknown.
"""
struct Outcome
    alphas::Matrix{Float64}
    actions::Vector{Int}
    lower::Float64
    upper::Float64
    steps::Int
end

function Outcome(policy::AlphaVectorPolicy; lower = NaN, upper = NaN, steps = -1)
    isempty(policy.alphas) && error("the policy has no alpha-vectors")
    alphas = permutedims(reduce(hcat, policy.alphas))
    return Outcome(alphas, Int.(policy.action_map), lower, upper, steps)
end
