// Appends every numbered event to a file, once and in order, whoever was away. npm install zeromq
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { Dealer, Subscriber } from "zeromq";
const [file, eventsAt, requestsAt] = process.argv.slice(2);
const kept = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").at(-1) : "";
let { stream, seq } = kept ? JSON.parse(kept) : { stream: null, seq: 0 }; // the place: after this event
async function ask(request) {
  for (;;) { // a daemon that is away is asked again, with a new socket
    const socket = new Dealer({ linger: 0, receiveTimeout: 2500 });
    socket.connect(requestsAt);
    await socket.send(JSON.stringify({ id: "1", ...request }));
    const parts = await socket.receive().catch(() => null);
    socket.close();
    if (parts) return [JSON.parse(parts[0]), parts.slice(1)];
  }
}
async function catchUp() {
  for (let behind = true; behind; ) {
    const [answer, parts] = await ask({ type: "since", stream, seq });
    if (answer.error === "storage") await new Promise((later) => setTimeout(later, 1000));
    else if (answer.error === "other_stream") [stream, seq] = [answer.stream, 0];
    else if (answer.type === "error") throw new Error(answer.message);
    else {
      if (answer.lost) console.error(`removed: ${answer.lost.first} to ${answer.lost.last}`);
      for (let i = 0; i < parts.length; i += 2) appendFileSync(file, `${parts[i + 1]}\n`);
      [stream, seq] = [answer.stream, answer.through_seq];
      behind = seq < answer.last_seq;
    }
  }
}
const live = new Subscriber();
live.connect(eventsAt);
live.subscribe("defect", "gap", "light", "periodic", "strip", "review", "threshold", "daemon", "status");
await catchUp();
for await (const [, payload] of live) {
  const event = JSON.parse(payload), isStatus = event.type === "status";
  const number = isStatus ? event.last_event_seq + 1 : event.seq; // seq + 1: nothing is missing
  if (event.stream !== stream || number > seq + 1 || (isStatus && number <= seq)) await catchUp();
  else if (!isStatus && number === seq + 1) [seq] = [number, appendFileSync(file, `${payload}\n`)];
}
