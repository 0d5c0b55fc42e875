// serve HOST PORT: simple-hl7's TCP server, which answers every message with AA
// and stores nothing: for benchmarks.

import hl7 from "simple-hl7";

const port = process.argv[3]; // it listens on every address
const app = hl7.tcp();
app.use((request, response, next) => response.end());
app.start(Number(port));
console.log("listening");
