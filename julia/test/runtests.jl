using Test
using TrimSARSOP: build_model, solve_appl, solve_native
using POMDPs: actions, discount, initialstate, isterminal, observation, reward, states, transition
using POMDPTools: pdf

# One decision: something is left or right, and a guess, which pays 1 if it is right, ends the episode.
# States: 1 left, 2 right, 3 end. Actions: 1 guess left, 2 guess right.
function guessing()
    T = zeros(3, 2, 3)
    T[:, :, 3] .= 1.0
    Z = [1.0 0.0; 1.0 0.0; 0.0 1.0]
    R = [1.0 0.0; 0.0 1.0; 0.0 0.0]
    return T, Z, R, [0.7, 0.3, 0.0]
end

const LIMITS = (precision = 1e-6, max_time = 30.0)

@testset "model" begin
    T, Z, R, b0 = guessing()
    model = build_model(T, Z, R, b0, 0.999)
    @test length(states(model)) == 3
    @test length(actions(model)) == 2
    @test discount(model) == 0.999
    @test isterminal(model, 3) && !isterminal(model, 1)
    @test pdf(initialstate(model), 1) == 0.7
    @test pdf(transition(model, 1, 2), 3) == 1.0
    @test pdf(observation(model, 1, 3), 2) == 1.0
    @test reward(model, 2, 2) == 1.0
    @test_throws DimensionMismatch build_model(T, Z[1:2, :], R, b0, 0.999)
end

@testset "NativeSARSOP" begin
    model = build_model(guessing()..., 1 - 1e-6)
    outcome = solve_native(model; max_steps = 1000, largest_return = 1.0, LIMITS...)
    @test outcome.lower <= 0.7 + 1e-6
    @test outcome.upper >= 0.7 - 1e-6
    @test outcome.upper - outcome.lower <= 1e-5
    best = argmax(outcome.alphas * [0.7, 0.3, 0.0])
    @test outcome.actions[best] == 1
end

@testset "SARSOP.jl" begin
    mktempdir() do folder
        model = build_model(guessing()..., 1 - 1e-6)
        outcome = solve_appl(model, folder; LIMITS...)
        @test maximum(outcome.alphas * [0.7, 0.3, 0.0]) ≈ 0.7 atol = 1e-4
        @test_throws ErrorException solve_appl(model, folder; LIMITS...)
    end
end
