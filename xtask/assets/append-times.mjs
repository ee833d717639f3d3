// Creates a topic whose broker notes when it appends a record, and reads it as an ordinary Kafka client does. Prints `ready`, and
// then for each record a line with when its event was due to be posted, in microseconds, and when it was appended, in milliseconds
// since 1970. Ends with its standard input.
//
// Usage: node append-times.mjs BROKER TOPIC

import { Kafka, logLevel } from "kafkajs";

const [broker, topic] = process.argv.slice(2);
// What goes wrong for good it throws, or crashes with.
const kafka = new Kafka({ clientId: "eventstar-bench", brokers: [broker], logLevel: logLevel.NOTHING });

const admin = kafka.admin();
await admin.connect();
const configEntries = [{ name: "message.timestamp.type", value: "LogAppendTime" }];
await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, configEntries }] });
await admin.disconnect();

function line({ timestamp, value }) {
  const [, due] = /"test":"due (\d{16}) /.exec(value) ?? [];
  if (due === undefined) throw new Error(`a record of ${topic} has no time that it was due`);
  return `${due} ${timestamp}\n`;
}

const consumer = kafka.consumer({ groupId: topic, allowAutoTopicCreation: false });
consumer.on(consumer.events.GROUP_JOIN, () => console.log("ready"));
consumer.on(consumer.events.CRASH, ({ payload }) => {
  console.error(payload.error);
  process.exit(1);
});
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  eachBatch: async ({ batch }) => process.stdout.write(batch.messages.map(line).join("")),
});
process.stdin.on("end", () => process.exit()).resume();
