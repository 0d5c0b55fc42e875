// send CHARSET HOST PORT FILE...: MLLP blocks, sent by Medplum's Hl7Client.
//
// One connection for each file; all are open before the first message goes out.
// The client finds the message of an answer by MSA-2, and raises an error for an
// answer to none.

import { readFileSync } from "node:fs";
import { Hl7Message } from "@medplum/core";
import { Hl7Client } from "@medplum/hl7";

const [encoding, host, port, ...files] = process.argv.slice(2);

const messages = (file) =>
  new TextDecoder(encoding)
    .decode(readFileSync(file))
    .split("\x1c\r")
    .filter((block) => block !== "")
    .map((block) => Hl7Message.parse(block.slice(1)));

const odd = (problem) => {
  console.error(problem);
  process.exitCode = 1;
};

const clients = files.map(() => {
  const client = new Hl7Client({ host, port: Number(port), encoding });
  client.addEventListener("error", (event) => odd(event.error));
  return client;
});
await Promise.all(clients.map((client) => client.connect()));
await Promise.all(
  files.map(async (file, n) => {
    for (const message of messages(file)) {
      const answer = await clients[n].sendAndWait(message, { timeoutMs: 30_000 });
      const msa = answer.getSegment("MSA");
      console.log(`${msa.getField(2)} ${msa.getField(1)}`);
    }
  }),
).catch(odd);
await Promise.all(clients.map((client) => client.close()));
process.exit();
