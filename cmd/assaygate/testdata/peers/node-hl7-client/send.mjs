// send CHARSET HOST PORT FILE...: MLLP blocks, sent by node-hl7-client.
//
// One connection for each file; all are open before the first message goes out.
// The client hands over whatever arrives as the answer, so this program checks
// that it belongs to its message.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Client, Message } from "node-hl7-client";

const [encoding, host, port, ...files] = process.argv.slice(2);

const messages = (file) =>
  new TextDecoder(encoding)
    .decode(readFileSync(file))
    .split("\x1c\r")
    .filter((block) => block !== "")
    .map((block) => new Message({ text: block.slice(1).trimEnd() }));

const odd = (problem) => {
  console.error(problem);
  process.exit(1);
};

const client = new Client({ host });
const lines = files.map((file) => {
  const line = { file };
  line.connection = client.createConnection({ port: Number(port), encoding }, (response) =>
    line.answered(response.getMessage()),
  );
  for (const event of ["client.error", "client.timeout", "data.error"]) {
    line.connection.on(event, (problem) => odd(`${event}: ${problem}`));
  }
  return line;
});
const late = setTimeout(() => odd("no answer for 60 s"), 60_000);
await Promise.all(lines.map((line) => once(line.connection, "connect")));
await Promise.all(
  lines.map(async (line) => {
    for (const message of messages(line.file)) {
      const answer = new Promise((resolve) => (line.answered = resolve));
      await line.connection.sendMessage(message);
      const reply = await answer;
      const [wanted, got] = [message.get("MSH.10").toString(), reply.get("MSA.2").toString()];
      if (wanted !== got) {
        odd(`the answer to ${wanted} is for ${got}`);
      }
      console.log(`${got} ${reply.get("MSA.1")}`);
    }
  }),
).catch(odd);
clearTimeout(late);
await Promise.all(lines.map((line) => line.connection.close()));
process.exit();
