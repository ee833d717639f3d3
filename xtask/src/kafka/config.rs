//! What the broker and the bridge are configured with.

use super::Ports;

/// Any 16 bytes will do, as base64.
pub(crate) const CLUSTER_ID: &str = "ZXZlbnRzdGFyLWthZmthIQ";

/// The folder for the broker's data in the state folder, which it is started in.
pub(crate) const DATA: &str = "data";

/// One node that is broker and controller. It makes a topic when a record comes for it, or `topics_must_exist`.
pub(crate) fn broker(ports: &Ports, topics_must_exist: bool) -> String {
    let Ports {
        broker, controller, ..
    } = ports;
    let creates_topics = !topics_must_exist;
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
log.dirs={DATA}
auto.create.topics.enable={creates_topics}
num.partitions=1
# The topics that Kafka keeps for itself; by default they ask for three nodes.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Nobody waits for further members of a group.
group.initial.rebalance.delay.ms=0
"
    )
}

/// The times are such that a missing broker is told of within ten seconds; by default it takes one or two minutes.
pub(crate) fn bridge(ports: &Ports) -> String {
    let Ports {
        broker,
        bridge,
        management,
        ..
    } = ports;
    format!(
        "bridge.id=eventstar
http.host=127.0.0.1
http.port={bridge}
http.management.port={management}
# What a reader that was killed has left behind is forgotten.
http.timeoutSeconds=120
kafka.bootstrap.servers=127.0.0.1:{broker}
# There is one address: asking for it anew, without a pause, helps nothing.
kafka.metadata.recovery.strategy=none
kafka.producer.acks=all
kafka.producer.max.block.ms=5000
kafka.producer.request.timeout.ms=4000
kafka.producer.delivery.timeout.ms=8000
kafka.consumer.auto.offset.reset=earliest
kafka.consumer.request.timeout.ms=8000
kafka.consumer.default.api.timeout.ms=8000
kafka.admin.request.timeout.ms=4000
kafka.admin.default.api.timeout.ms=8000
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports {
        broker: 1001,
        controller: 1002,
        bridge: 1003,
        management: 1004,
    };

    #[test]
    fn everything_listens_on_loopback_only() {
        for text in [broker(&PORTS, false), bridge(&PORTS)] {
            assert!(!text.contains("0.0.0.0") && !text.contains("localhost"), "{text}");
        }
        let listeners = "\nlisteners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002\n";
        assert!(broker(&PORTS, false).contains(listeners));
        assert!(
            bridge(&PORTS).contains("\nhttp.host=127.0.0.1\nhttp.port=1003\nhttp.management.port=1004\n")
        );
        assert!(bridge(&PORTS).contains("\nkafka.bootstrap.servers=127.0.0.1:1001\n"));
    }

    #[test]
    fn a_broker_makes_topics_unless_they_must_exist() {
        for (topics_must_exist, line) in [
            (false, "\nauto.create.topics.enable=true\n"),
            (true, "\nauto.create.topics.enable=false\n"),
        ] {
            assert!(broker(&PORTS, topics_must_exist).contains(line));
        }
    }

    #[test]
    fn a_missing_broker_is_told_of_within_ten_seconds() {
        let text = bridge(&PORTS);
        let times = text.lines().filter_map(|line| line.split_once(".ms="));
        let times: Vec<u32> = times.map(|(_, time)| time.parse().unwrap()).collect();
        assert_eq!(times.len(), 7);
        assert!(times.iter().all(|time| *time < 10_000), "{times:?}");
    }
}
