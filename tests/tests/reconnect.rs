//! `EventSource`, of a browser and of the npm package, over a restart of the server.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use eventstar_tests::Dev;
use eventstar_tests::dev::StateDir;
use eventstar_tests::events::PrivateStream;
use eventstar_tests::instance::repository;
use eventstar_tests::proxy::Proxy;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::text::replace;

/// Longer than an `EventSource` waits before it comes back, and a server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long is listened for what must not come.
const SILENCE: Duration = Duration::from_secs(3);

/// The readers, in a process of their own that ends with this.
struct Readers {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Readers {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env::var("EVENTSTAR_NODE").expect("EVENTSTAR_NODE"))
            .arg(repository().join("tests/browser/reconnect.js"))
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program EVENTSTAR_NODE names");
        let output = BufReader::new(child.stdout.take().expect("stdout"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// What a reader has said.
    fn of(&self, reader: &str) -> Vec<&str> {
        let words = self.said.iter().filter_map(|line| line.split_once(' '));
        words
            .filter(|(who, _)| *who == reader)
            .map(|(_, word)| word)
            .collect()
    }

    /// Listens until `done`.
    #[track_caller]
    fn listen_until(&mut self, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(why) => panic!("{why}; so far {:?}", self.said),
            }
        }
    }

    fn listen_for(&mut self, time: Duration) {
        while let Ok(line) = self.lines.recv_timeout(time) {
            self.said.push(line);
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn authority(dev: &Dev) -> String {
    dev.instance.origin.base_url().replace("http://", "")
}

const READERS: [&str; 2] = ["chromium", "package"];

fn attempts(said: &[&str]) -> Vec<u64> {
    said.iter().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn an_event_source_loses_and_repeats_nothing_over_a_restart_in_a_browser() {
    let state = StateDir::new("reconnect");
    let stream = PrivateStream::new("reconnect");
    let proxy = Proxy::start();
    let produce = |dev: &Dev, attempts: std::ops::Range<u64>| {
        for attempt in attempts {
            let event = stream.event(&fresh_uuid());
            dev.instance
                .produce(&[replace(&event, &["attempt"], &attempt.to_string())]);
        }
    };

    let dev = Dev::start(&state, &[]);
    proxy.lead_to(&authority(&dev));
    let mut readers = Readers::start(&format!("http://{}{}", proxy.address(), stream.live()));
    readers.listen_until(|readers| READERS.iter().all(|reader| readers.of(reader) == ["open"]));
    produce(&dev, 1..21);
    readers.listen_until(|readers| {
        READERS
            .iter()
            .all(|reader| attempts(&readers.of(reader)).len() == 20)
    });

    dev.kill();
    let dev = Dev::start(&state, &[]);
    produce(&dev, 21..31);
    // Only now can they come back: these events came while they were away.
    proxy.lead_to(&authority(&dev));
    produce(&dev, 31..41);
    readers.listen_until(|readers| {
        READERS
            .iter()
            .all(|reader| attempts(&readers.of(reader)).len() >= 40)
    });
    readers.listen_for(SILENCE);
    for reader in READERS {
        assert_eq!(
            attempts(&readers.of(reader)),
            (1..41).collect::<Vec<_>>(),
            "{reader}"
        );
    }
}
