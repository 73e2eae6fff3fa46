"""Pods come and go under requests, and none fails. The whole of it, with six pods: benchmarks:rollout."""

import time

from testkit.pods import write_models
from testkit.rollout import Rollout, serve
from tests import warm_server


def test_a_pod_that_leaves_during_a_promotion_fails_no_request(tmp_path):
    write_models(tmp_path, versions=(1, 2))
    serve(tmp_path, [1], stable=1)
    with warm_server.forked(), Rollout(tmp_path) as rollout:
        rollout.begin(2)
        serve(tmp_path, [1, 2], stable=1)
        rollout.scale(1)
        serve(tmp_path, [1, 2], stable=2)
        end = time.monotonic() + 60
        while not rollout.answered[2]:
            assert time.monotonic() < end, rollout.failures
            time.sleep(0.1)
        assert rollout.failures == []
        assert rollout.answered[1] > 0
