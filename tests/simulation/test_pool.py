"""The pool of workers: who counts what is on its way never misses a job."""

from __future__ import annotations

import asyncio

from streamer.pay.pool import Pool


def test_a_job_is_waiting_until_a_worker_has_begun_it_and_jobs_keep_their_order() -> None:
    async def main() -> None:
        begun: list[int] = []
        go_on = asyncio.Event()

        async def do(job: int) -> None:
            begun.append(job)
            await go_on.wait()

        pool = Pool(do)
        workers = [asyncio.ensure_future(pool.work()) for _ in range(2)]
        await asyncio.sleep(0)
        for job in range(4):
            pool.hand_over(job)
            # an end that waits for what is under way would miss it here, if it were nowhere
            assert len(begun) + pool.waiting == job + 1
        await asyncio.sleep(0)
        assert (begun, pool.waiting) == ([0, 1], 2)
        go_on.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (begun, pool.waiting) == ([0, 1, 2, 3], 0)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    asyncio.run(main())
