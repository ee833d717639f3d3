// Runs all workers on one origin in the Workers runtime, with local KV, queues and Durable Objects kept on disk.
//
// Reads one line of JSON from standard input and serves until that input ends or a signal comes:
//   {"config": "…/wrangler.toml", "port": 8787, "state": "…", "bindings": {…},
//    "workers": [{"function": "intake", "routes": ["/v1/events*"], "script": "…/index.js"}]}
//
// With "counts": true each worker tells at /FUNCTION/__counts what it has used of the platform, and other servers are not asked:
// a bridge to Kafka that takes everything answers for them.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Log, LogLevel, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";

function worker(launch, { function: env, routes, script }) {
  const config = unstable_readConfig({ config: launch.config, env });
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config);
  const modules = [
    { type: "ESModule", path: script },
    { type: "CompiledWasm", path: join(dirname(script), "index_bg.wasm") },
  ];
  return {
    ...workerOptions,
    name: config.name,
    routes: routes.map((path) => `*${path}`),
    bindings: { ...workerOptions.bindings, ...launch.bindings },
    modulesRoot: dirname(script),
    modules: launch.counts ? [...counting(config, dirname(script)), ...modules] : modules,
    ...(launch.counts && { outboundService: bridge }),
  };
}

/** The modules around a worker that count: the first is its entry. */
function counting(config, folder) {
  const own = config.durable_objects.bindings.filter((binding) => !binding.script_name);
  const classes = own.map(({ class_name: name }) => `export const ${name} = countedObject("${name}", worker.${name});`);
  const entry = `import * as worker from "./index.js";
    import { counted, countedObject } from "./count.mjs";
    export default counted(worker.default);
    ${classes.join("\n")}`;
  const count = readFileSync(new URL("count.mjs", import.meta.url), "utf8");
  return [
    { type: "ESModule", path: join(folder, "counted.mjs"), contents: entry },
    { type: "ESModule", path: join(folder, "count.mjs"), contents: count },
  ];
}

/** Answers as the Strimzi bridge does that has written all records. */
async function bridge(request) {
  const { records } = await request.json();
  return Response.json({ offsets: records.map((_, offset) => ({ partition: 0, offset })) });
}

const lines = createInterface({ input: process.stdin });
const launch = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
const server = new Miniflare({
  host: "127.0.0.1",
  port: launch.port,
  // The description of the client's connection would be fetched from the network.
  cf: false,
  log: new Log(LogLevel.WARN),
  kvPersist: join(launch.state, "kv"),
  durableObjectsPersist: join(launch.state, "objects"),
  cache: false,
  workers: launch.workers.map((each) => worker(launch, each)),
});

let stopping = false;
async function stop() {
  if (stopping) return;
  stopping = true;
  await server.dispose();
  process.exit(0);
}
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
// The input ends when the program that started this one is gone, however it went.
process.stdin.on("end", stop);
lines.on("close", stop);

await server.ready;
