// Counts what a worker and its objects use of the platform, as it is billed. `serve.mjs` puts it around a built worker, which is
// not changed by it: the counts are taken where JavaScript calls the platform. GET /FUNCTION/__counts answers them.

import { env } from "cloudflare:workers";

// Queues bill each 64 KB of a message, to which they add some 100 bytes:
// https://developers.cloudflare.com/queues/platform/pricing/
const OPERATION_BYTES = 64_000;
const MESSAGE_OVERHEAD = 100;

const counts = {};
const sizes = new Map();

function add(name, more = 1) {
  counts[name] = (counts[name] ?? 0) + more;
}

/** Has `before` see the arguments of each call of a method. */
function watch(object, method, before) {
  const original = object?.[method];
  if (!original) return;
  object[method] = function (...args) {
    before.apply(this, args);
    return original.apply(this, args);
  };
}

const operations = (body) => Math.ceil((body.byteLength + MESSAGE_OVERHEAD) / OPERATION_BYTES);
const keys = (key) => (Array.isArray(key) ? key.length : 1);

const kv = env.KV && Object.getPrototypeOf(env.KV);
watch(kv, "get", (key) => add("kv_reads", keys(key)));
watch(kv, "put", () => add("kv_writes"));
watch(env.EVENTS && Object.getPrototypeOf(env.EVENTS), "sendBatch", (messages) => {
  add("queue_messages", messages.length);
  for (const { body } of messages) add("queue_writes", operations(body));
});
watch(globalThis, "fetch", () => add("fetches"));

let message;
function watchMessages(batch) {
  add("queue_batches");
  for (const { body } of batch.messages) add("queue_reads", operations(body));
  const prototype = Object.getPrototypeOf(batch.messages[0]);
  if (prototype === message) return;
  message = prototype;
  watch(message, "ack", function () {
    add("queue_deletes", operations(this.body));
  });
}

/** The entry point of a worker, counted. */
export function counted(entrypoint) {
  const { fetch } = entrypoint.prototype;
  entrypoint.prototype.fetch = function (request) {
    if (new URL(request.url).pathname.endsWith("/__counts")) {
      const bytes = {};
      for (const [name, size] of sizes.values()) bytes[name] = (bytes[name] ?? 0) + size;
      return Response.json({ ...counts, ...bytes });
    }
    add("requests");
    return fetch.call(this, request);
  };
  watch(entrypoint.prototype, "queue", watchMessages);
  return entrypoint;
}

/** A class of objects, counted. */
export function countedObject(name, objects) {
  watch(objects.prototype, "fetch", () => add(`${name}.requests`));
  watch(objects.prototype, "alarm", () => add(`${name}.requests`));
  return new Proxy(objects, {
    construct(target, [state, env], newTarget) {
      const { storage } = state;
      const { sql } = storage;
      watch(storage, "setAlarm", () => add(`${name}.rows_written`));
      const exec = sql.exec.bind(sql);
      sql.exec = (...args) => {
        const cursor = exec(...args);
        // The caller reads all rows at once.
        queueMicrotask(() => {
          add(`${name}.rows_read`, cursor.rowsRead);
          add(`${name}.rows_written`, cursor.rowsWritten);
          sizes.set(state.id.toString(), [`${name}.bytes`, sql.databaseSize]);
        });
        return cursor;
      };
      return Reflect.construct(target, [state, env], newTarget);
    },
  });
}
