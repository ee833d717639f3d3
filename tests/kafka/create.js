/**
 * Creates a topic of one partition that takes records of at most so many bytes.
 *
 * Usage: node create.js BROKER TOPIC BYTES
 */

import { Kafka, logLevel } from 'kafkajs';

const [broker, topic, bytes] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'eventstar-tests', brokers: [broker], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
await admin.connect();
try {
  const configEntries = [{ name: 'max.message.bytes', value: bytes }];
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, configEntries }] });
} finally {
  await admin.disconnect();
}
