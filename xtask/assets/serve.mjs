// Runs all workers on one origin in the Workers runtime, with local KV, queues and Durable Objects kept on disk.
//
// Reads one line of JSON from standard input and serves until that input ends or a signal comes:
//   {"config": "…/wrangler.toml", "port": 8787, "state": "…", "bindings": {…},
//    "workers": [{"function": "intake", "routes": ["/v1/events*"], "script": "…/index.js"}]}

import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Log, LogLevel, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";

function worker(launch, { function: env, routes, script }) {
  const config = unstable_readConfig({ config: launch.config, env });
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config);
  return {
    ...workerOptions,
    name: config.name,
    routes: routes.map((path) => `*${path}`),
    bindings: { ...workerOptions.bindings, ...launch.bindings },
    modulesRoot: dirname(script),
    modules: [
      { type: "ESModule", path: script },
      { type: "CompiledWasm", path: join(dirname(script), "index_bg.wasm") },
    ],
  };
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
