"""Ten keys, one of them abusive, at a real server."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from tests.server.process import PLAIN, ServerProcess

MODEST = [f"team-{i}" for i in range(9)]
ABUSIVE = "greedy"
REQUESTS = 4


def key(name: str) -> str:
    return f"{name}-key-0123456789abcdef"


async def test_one_abusive_key_leaves_the_other_nine_unharmed() -> None:
    env = {
        "API_KEYS": ",".join(f"{name}:{key(name)}" for name in (*MODEST, ABUSIVE)),
        "MAX_PARALLEL_REQUESTS": "2",
        "MAX_QUEUE_SIZE": "20",
    }
    with ServerProcess(env, wait="listening") as server:
        server.wait_for("ready")
        answers: dict[str, Counter[int]] = {name: Counter() for name in (*MODEST, ABUSIVE)}
        over = asyncio.Event()
        crowded = asyncio.Event()

        async with httpx.AsyncClient(
            base_url=server.url, limits=httpx.Limits(max_connections=None), **PLAIN
        ) as client:

            async def ask(name: str, documents: int) -> httpx.Response:
                answer = await client.post(
                    "/v1/rerank",
                    json={"query": "q", "documents": [f"{i} word" * 30 for i in range(documents)]},
                    headers={"Authorization": f"Bearer {key(name)}"},
                )
                answers[name][answer.status_code] += 1
                return answer

            async def abuse() -> None:
                while not over.is_set():
                    answer = await ask(ABUSIVE, 20)
                    if answer.status_code == 503:
                        assert answer.json()["error"]["type"] == "queue_full"
                        assert 1 <= int(answer.headers["retry-after"]) <= 60
                        crowded.set()
                        await asyncio.sleep(0.05)  # it does not even wait as long as it is told

            async def be_modest(name: str) -> None:
                for _ in range(REQUESTS):
                    await ask(name, 1)

            for name in MODEST:
                await ask(name, 1)
            abusers = [asyncio.create_task(abuse()) for _ in range(30)]
            await asyncio.wait_for(crowded.wait(), 60)
            await asyncio.gather(*(be_modest(name) for name in MODEST))
            over.set()
            await asyncio.gather(*abusers)
            answer = await client.get(
                "/metrics", headers={"Authorization": f"Bearer {key(ABUSIVE)}"}
            )

        assert {name: answers[name] for name in MODEST} == {
            name: Counter({200: REQUESTS + 1}) for name in MODEST
        }
        assert answers[ABUSIVE][200] > 0  # and it is served, too
        assert answers[ABUSIVE][503] > 0
        clients = answer.json()["clients"]
        assert {name: clients[name]["requests_by_status"] for name in clients} == {
            name: {str(status): n for status, n in counts.items()}
            for name, counts in answers.items()
        }
        assert clients["team-0"]["pairs"] == REQUESTS + 1
        key_in_log = [line for line in server.log.read_text().splitlines() if key(ABUSIVE) in line]
        assert key_in_log == []
