/**
 * Reads a topic as an ordinary Kafka client does, from its beginning to where it ends at the start. Prints a line of JSON for
 * each record: `{partition, offset, timestamp, key, value, headers}`; keys, values and headers in base64, a missing key or value
 * as null, a header that occurs several times as an array.
 *
 * Usage: node read.js BROKER TOPIC
 */

import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';

/** How long nothing may come while the end is not reached. */
const PATIENCE_MS = 30_000;

const [broker, topic] = process.argv.slice(2);
const kafka = new Kafka({
  clientId: 'eventstar-tests',
  brokers: [broker],
  // What it cannot do it throws.
  logLevel: logLevel.NOTHING,
});

const base64 = (value) => {
  if (Array.isArray(value)) return value.map(base64);
  return value === null || value === undefined ? null : Buffer.from(value).toString('base64');
};

function print(partition, { offset, timestamp, key, value, headers }) {
  const encoded = Object.entries(headers ?? {}).map(([name, header]) => [name, base64(header)]);
  const record = {
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: base64(key),
    value: base64(value),
    headers: Object.fromEntries(encoded),
  };
  console.log(JSON.stringify(record));
}

/** Reads until each of `ends`, partitions with the offset they are read to, is reached. */
async function read(ends, groupId) {
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false });
  const { promise: finished, resolve, reject } = Promise.withResolvers();
  const giveUp = () => reject(new Error(`nothing came from ${topic} for ${PATIENCE_MS} ms, and it does not end yet`));
  const patience = setTimeout(giveUp, PATIENCE_MS);
  // Told of batches that have no record too, such as those that end a transaction.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    patience.refresh();
    if (Number(lastOffset) + 1 >= ends.get(partition)) ends.delete(partition);
    if (ends.size === 0) resolve();
  });
  consumer.on(consumer.events.CRASH, ({ payload: { error } }) => reject(error));
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachBatch: async ({ batch: { partition, messages } }) => {
        const end = ends.get(partition) ?? 0;
        for (const message of messages) if (Number(message.offset) < end) print(partition, message);
      },
    });
    await finished;
  } finally {
    clearTimeout(patience);
    await consumer.disconnect();
  }
}

const admin = kafka.admin();
await admin.connect();
try {
  const offsets = await admin.fetchTopicOffsets(topic);
  const filled = offsets.filter(({ low, high }) => low !== high);
  const groupId = `eventstar-tests-${randomUUID()}`;
  if (filled.length > 0) {
    await read(new Map(filled.map(({ partition, high }) => [partition, Number(high)])), groupId);
    await admin.deleteGroups([groupId]);
  }
} finally {
  await admin.disconnect();
}
