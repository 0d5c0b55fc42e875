// serve HOST PORT: Medplum's Hl7Server, which answers every message with AA and
// stores nothing: for benchmarks.

import { Hl7Server } from "@medplum/hl7";

const [host, port] = process.argv.slice(2);
const server = new Hl7Server((connection) => {
  connection.addEventListener("message", ({ message }) => connection.send(message.buildAck()));
});
await server.start(Number(port), undefined, undefined, { host });
console.log("listening");
