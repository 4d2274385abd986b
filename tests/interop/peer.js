// A client as a process: each line of stdin is a request {"do": verb, ...}, each line of stdout its answer, in order:
// {"result": ...} or {"error": text}. What libraries print goes to stderr.
"use strict";
const readline = require("node:readline");

console.log = console.info = console.debug = console.error;

exports.serve = async (verbs) => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: verb, ...request } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await verbs[verb](request)) ?? null };
    } catch (error) {
      answer = { error: error.message };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit(0);
};

// What came in; `take` removes what `wanted` accepts, when so many are there, or fails.
exports.inbox = () => {
  const held = [];
  return {
    put: (entry) => held.push(entry),
    take: async (count, wanted = () => true, seconds = 5) => {
      const deadline = Date.now() + 1000 * seconds;
      while (held.filter(wanted).length < count) {
        if (Date.now() > deadline) throw new Error(`${held.filter(wanted).length} of ${count} came within ${seconds} s`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const taken = held.filter(wanted);
      held.splice(0, held.length, ...held.filter((entry) => !wanted(entry)));
      return taken;
    },
  };
};
