"""serve HOST PORT: python-hl7's MLLP server, which answers every message with AA
and stores nothing: for benchmarks."""

import asyncio
import sys

from hl7.mllp import start_hl7_server


async def answer(reader, writer):
    try:
        while not writer.is_closing():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass  # the client has hung up
    finally:
        writer.close()


async def main(host, port):
    async with await start_hl7_server(answer, host=host, port=int(port)) as server:
        print("listening", flush=True)
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
