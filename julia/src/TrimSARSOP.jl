"""
SARSOP for finite POMDPs that arrive as arrays: model in, alpha-vectors and bounds out.

The arrays are those of Python's `planner.explicit.ExplicitPOMDP`; `planner.sarsop.worker` is the caller.
"""
module TrimSARSOP

using POMDPs
using POMDPTools
using QuickPOMDPs: DiscreteExplicitPOMDP
import NativeSARSOP  # not `using`: SARSOP.jl exports a SARSOPSolver too

include("model.jl")
include("policy.jl")
include("native.jl")
include("appl.jl")

end
