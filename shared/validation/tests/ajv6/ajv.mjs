// Judges pairs of schema and event as EventGate does: AJV 6 with `allErrors`, `useDefaults` and `schemaId: 'auto'`.
//
// Reads lines {"schema": …, "events": ["JSON text", …]} and writes, for each, {"broken": "why"} or
// {"judged": [{"errors": […], "event": …, "again": […]}, …]}: the event as AJV has filled it in, and the errors of that event.
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const require = createRequire(import.meta.url);
const Ajv = require('ajv');
const quiet = { log() {}, warn() {}, error() {} };

function judge({ schema, events }) {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, schemaId: 'auto', logger: quiet });
  for (const draft of ['04', '06']) {
    ajv.addMetaSchema(require(`ajv/lib/refs/json-schema-draft-${draft}.json`));
  }
  let validate;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    return { broken: error.message };
  }
  return {
    judged: events.map((text) => {
      const event = JSON.parse(text);
      validate(event);
      const errors = validate.errors ?? [];
      const filled = JSON.stringify(event);
      validate(JSON.parse(filled));
      return { errors, event, again: validate.errors ?? [] };
    }),
  };
}

// Not line by line with `readline`: it takes U+2028 for the end of a line.
const lines = (await text(process.stdin)).split('\n').filter(Boolean);
for (const line of lines) {
  process.stdout.write(`${JSON.stringify(judge(JSON.parse(line)))}\n`);
}
