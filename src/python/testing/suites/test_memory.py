"""Requests leave no memory behind. What a model server takes altogether is limited by the clone itself."""


def test_memory_does_not_grow_with_requests(memory, budget):
    assert memory.growth_mib <= budget.max_growth_mib, (
        f"the model server's memory grew by {memory.growth_mib:.0f} MiB over a burst of requests, "
        f"at most {budget.max_growth_mib:g} are allowed"
    )
