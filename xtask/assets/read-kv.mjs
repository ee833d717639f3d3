// Prints all keys and values of a local KV namespace as one JSON object.
//
//   node read-kv.mjs FOLDER ID

import { Miniflare } from "miniflare";

const [folder, id] = process.argv.slice(2);
const script = "export default {};";
const server = new Miniflare({ cf: false, modules: true, script, kvNamespaces: { KV: id }, kvPersist: folder });
const namespace = await server.getKVNamespace("KV");
const values = {};
let cursor;
do {
  const page = await namespace.list({ cursor });
  for (const { name } of page.keys) values[name] = await namespace.get(name);
  cursor = page.cursor;
} while (cursor);
process.stdout.write(JSON.stringify(values));
await server.dispose();
