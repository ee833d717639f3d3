/**
 * Creates topics of one partition that take records of at most so many bytes.
 *
 * Usage: node create.js BROKER BYTES TOPIC...
 */

import { Kafka, logLevel } from 'kafkajs';

const [broker, bytes, ...topics] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'eventstar-tests', brokers: [broker], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
await admin.connect();
try {
  const configEntries = [{ name: 'max.message.bytes', value: bytes }];
  const created = topics.map((topic) => ({ topic, numPartitions: 1, configEntries }));
  await admin.createTopics({ waitForLeaders: true, topics: created });
} finally {
  await admin.disconnect();
}
