"""send CHARSET HOST PORT FILE...: MLLP blocks, sent by python-hl7's MLLPClient.

One connection for each file; all are open before the first message goes out.
The client takes one recv() for one answer and matches nothing, so this program
checks that the answer is one whole block and belongs to its message.
"""

import sys
import threading

import hl7
from hl7.client import MLLPClient, read_stream

charset, host, port, files = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
odd = []


def send(client, file):
    try:
        with open(file, "rb") as stream:
            for text in read_stream(stream):
                message = hl7.parse(text, encoding=charset)
                answer = client.send_message(message)
                if not answer.startswith(b"\x0b") or not answer.endswith(b"\x1c\r"):
                    raise ValueError("not one block: %r" % answer)
                answer = hl7.parse(answer[1:-2], encoding=charset)
                wanted, got = str(message.segment("MSH")[10]), str(answer.segment("MSA")[2])
                if wanted != got:
                    raise ValueError("the answer to %r is for %r" % (wanted, got))
                sys.stdout.write("%s %s\n" % (got, answer.segment("MSA")[1]))
    except Exception as problem:
        odd.append("%s: %r" % (file, problem))


clients = [MLLPClient(host, port, encoding=charset) for _ in files]
threads = [threading.Thread(target=send, args=both) for both in zip(clients, files)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for client in clients:
    client.close()
sys.exit("\n".join(odd) or None)
