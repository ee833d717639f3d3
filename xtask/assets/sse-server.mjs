// What the relay is compared with: the least a Server-Sent Events server in Node does. It keeps nothing and reads no log.
//
// An event that was posted goes to each client as KafkaSSE writes it: each client has a consumer of its own there, so the
// event is parsed, given `meta.topic`, `meta.partition` and `meta.offset`, and made text again once for each client.
// A client that reads too slowly waits for what it has not read yet, and gets the rest when it has.

import { createServer } from "node:http";

const [port, topic] = process.argv.slice(2);
const clients = new Set();
let offset = 0;

function frame({ text, offset, timestamp }) {
  const event = JSON.parse(text);
  event.meta = { ...event.meta, topic, partition: 0, offset };
  const id = JSON.stringify([{ topic, partition: 0, offset: offset + 1, timestamp }]);
  return `event: message\nid: ${id}\ndata: ${JSON.stringify(event)}\n\n`;
}

function send(client) {
  while (!client.blocked && client.queue.length > 0) {
    client.blocked = !client.response.write(frame(client.queue.shift()));
  }
}

function follow(response) {
  const client = { response, queue: [], blocked: false };
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(":ok\n\n");
  response.on("drain", () => {
    client.blocked = false;
    send(client);
  });
  response.on("close", () => clients.delete(client));
  clients.add(client);
}

function take(body) {
  const timestamp = Date.now();
  for (const event of JSON.parse(body)) {
    const message = { text: JSON.stringify(event), offset, timestamp };
    offset += 1;
    for (const client of clients) client.queue.push(message);
  }
  for (const client of clients) send(client);
}

const server = createServer((request, response) => {
  if (request.method === "GET") {
    follow(response);
    return;
  }
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    take(Buffer.concat(pieces).toString());
    response.writeHead(201, { "content-length": 0 });
    response.end();
  });
});
server.requestTimeout = 0;
server.listen(Number(port), "127.0.0.1");
// The input ends when the program that started this one is gone, however it went.
process.stdin.on("end", () => process.exit(0)).resume();
