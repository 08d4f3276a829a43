"""
    solve_appl(model, folder; precision, max_time)

SARSOP.jl, which runs the APPL program on files in `folder`. The folder must be this solve's own: where the program fails, the package
reads whatever policy file lies there, so an old one is refused. The program prints its bounds; they are not part of the policy it writes.
"""
function solve_appl(model, folder::AbstractString; precision::Real, max_time::Real)
    written = joinpath(folder, "policy.out")
    ispath(written) && error("$written is left from another solve")
    @eval import SARSOP  # only here: NativeSARSOP needs no program
    package = @eval SARSOP
    solver_type = Base.invokelatest(getglobal, package, :SARSOPSolver)  # loaded after this function was compiled
    policy = cd(folder) do
        solver = Base.invokelatest(
            solver_type; precision = Float64(precision), timeout = Float64(max_time), verbose = true
        )
        Base.invokelatest(POMDPs.solve, solver, model)
    end
    isfile(written) || error("the APPL program wrote no policy")
    return Outcome(policy)
end
