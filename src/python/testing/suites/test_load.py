"""The candidate answers fast enough when several ask at once."""


def test_slow_answers_are_not_slower_than_production_allows(load, baseline_load, budget):
    most = baseline_load.p95_ms * budget.max_slowdown
    assert load.p95_ms <= most, (
        f"95 % of answers take up to {load.p95_ms:.0f} ms, production's up to {baseline_load.p95_ms:.0f} ms; "
        f"at most {budget.max_slowdown:g} times that is allowed"
    )


def test_throughput_does_not_fall_behind_production(load, baseline_load, budget):
    least = baseline_load.requests_per_second / budget.max_slowdown
    assert load.requests_per_second >= least, (
        f"{load.requests_per_second:.0f} requests a second, "
        f"production answers {baseline_load.requests_per_second:.0f}; at least {least:.0f} are expected"
    )


def test_slow_answers_come_in_time(load, budget):
    assert load.p95_ms <= budget.max_p95_ms, (
        f"95 % of answers take up to {load.p95_ms:.0f} ms; at most {budget.max_p95_ms:g} ms are allowed"
    )
