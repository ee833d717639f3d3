// Posts one body again and again and prints what came back, as JSON.
//
//   node load.mjs URL BODY-FILE SECONDS CONNECTIONS

import { readFileSync } from "node:fs";
import autocannon from "autocannon";

const [url, file, seconds, connections] = process.argv.slice(2);
// The report of autocannon has whole milliseconds; its events have the fractions.
const latencies = [];
const run = autocannon({
  url,
  method: "POST",
  headers: { "content-type": "application/json" },
  body: readFileSync(file),
  duration: Number(seconds),
  connections: Number(connections),
});
run.on("response", (_client, _status, _bytes, milliseconds) => latencies.push(milliseconds));
const report = await run;
latencies.sort((one, other) => one - other);
const percentile = (share) => latencies[Math.floor(share * (latencies.length - 1))];
process.stdout.write(
  JSON.stringify({
    per_second: latencies.length / report.duration,
    p50_ms: percentile(0.5),
    p99_ms: percentile(0.99),
    statuses: Object.fromEntries(Object.entries(report.statusCodeStats).map(([code, { count }]) => [code, count])),
    errors: report.errors,
  }),
);
