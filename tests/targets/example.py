# SPDX-License-Identifier: Apache-2.0
"""The README's program: nobody awaits func_not_awaited, yet it belongs below parent, which created it."""
import asyncio

async def func_not_awaited() -> None:
    await asyncio.sleep(0.5)

async def func_awaited() -> None:
    await asyncio.sleep(1)

async def parent() -> asyncio.Task:
    t_not_awaited = asyncio.create_task(func_not_awaited(), name="Task-not_awaited")
    t_awaited = asyncio.create_task(func_awaited(), name="Task-awaited")
    await t_awaited
    return t_not_awaited          # finished by now; returned so that it is used

def main():
    while True:
        asyncio.run(parent())

main()
