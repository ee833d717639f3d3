use std::fs;

use super::*;
use crate::fake;

struct World {
    dir: tempfile::TempDir,
    state: std::sync::Arc<std::sync::Mutex<fake::State>>,
    to: String,
}

impl World {
    fn new() -> Self {
        let (target, state) = fake::start();
        let dir = tempfile::tempdir().unwrap();
        let to = target.url().to_owned();
        Self { dir, state, to }
    }

    fn target(&self) -> Target {
        Target::at(&self.to, "root")
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("streams.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    /// What a command wrote, its findings behind, or its refusal; the folder's name is left out.
    fn run(&self, command: &StreamCommand) -> String {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = command.run(&mut out, &mut log);
        out.extend(log);
        let mut text = String::from_utf8(out).unwrap();
        match code {
            Ok(code) if code == ExitCode::SUCCESS => {}
            Ok(_) => text.push_str("failed\n"),
            Err(error) => text.push_str(&format!("error: {error:#}\n")),
        }
        let folder = format!("{}/", self.dir.path().display());
        text.replace(&folder, "").replace(&self.to, "URL")
    }

    fn publish(&self, text: &str, dry_run: bool) -> String {
        self.run(&StreamCommand::Publish(Publish {
            target: self.target(),
            schemas: Schemas::default(),
            dry_run,
            file: self.file(text),
        }))
    }

    fn rollback(&self, number: u64, dry_run: bool) -> String {
        let target = self.target();
        self.run(&StreamCommand::Rollback(Rollback {
            target,
            dry_run,
            number,
        }))
    }

    fn get(&self, number: Option<u64>, yaml: bool) -> String {
        let target = self.target();
        self.run(&StreamCommand::Get(Get { target, number, yaml }))
    }

    fn versions(&self) -> usize {
        self.state.lock().unwrap().configs.len()
    }
}

const ONE: &str = "a: {schema_title: x}\n";
const TWO: &str = "a: {schema_title: y}\nb: {schema_title: x}\n";

#[test]
fn publishing_shows_what_changes_and_twice_is_once() {
    let world = World::new();
    let dry = world.publish(ONE, true);
    assert_eq!(
        dry,
        "+ a\nstream config: nothing was published, version 0 is current\n"
    );
    assert_eq!(
        world.publish(ONE, false),
        "+ a\nstream config: published as version 1\n"
    );
    assert_eq!(world.publish(ONE, false), "stream config: unchanged, version 1\n");
    assert_eq!(
        world.publish(TWO, false),
        "~ a\n    /schema_title: \"x\" → \"y\"\n+ b\nstream config: published as version 2\n"
    );
    assert_eq!(world.versions(), 2);
}

#[test]
fn one_bad_stream_and_nothing_is_asked_of_the_deployment() {
    let world = World::new();
    let refused = world.publish(
        "a: {schema_title: x}\nb:\n  schema_title: x\n  partitions: 0\n",
        false,
    );
    assert_eq!(
        refused,
        "streams.yaml:4: /b/partitions: error: expected a number from 1 to 64\nerror: streams.yaml: 1 errors: nothing was published\n"
    );
    assert!(world.state.lock().unwrap().requests.is_empty());
}

#[test]
fn a_config_that_somebody_else_replaced_is_not_overwritten() {
    let world = World::new();
    world.publish(ONE, false);
    let admin = world.target().admin().unwrap();
    let file = StreamConfigFile::read(&world.file(TWO)).unwrap();
    let refusal = format!("{:#}", admin.replace_streams(&file, 7).unwrap_err());
    assert!(refusal.contains("somebody else published meanwhile"), "{refusal}");
    let refusal = format!("{:#}", admin.rollback_streams(1, 7).unwrap_err());
    assert!(refusal.contains("somebody else published meanwhile"), "{refusal}");
    assert_eq!(world.versions(), 1);
}

#[test]
fn versions_are_listed_read_compared_and_gone_back_to() {
    let world = World::new();
    assert_eq!(
        world.get(None, false),
        "error: no stream config is published: stream publish publishes one\n"
    );
    world.publish(ONE, false);
    world.publish(TWO, false);
    let target = world.target();
    assert_eq!(
        world.run(&StreamCommand::History(History { target })),
        "     2  1970-01-01T00:00:00.000Z  current\n     1  1970-01-01T00:00:00.000Z\n"
    );
    assert_eq!(world.get(Some(1), true), "a:\n  schema_title: x\n");
    assert_eq!(
        world.get(Some(1), false),
        "{\n  \"a\": {\n    \"schema_title\": \"x\"\n  }\n}\n"
    );
    assert_eq!(
        world.get(Some(9), false),
        "error: the stream config has no version 9: stream history lists them\n"
    );
    let diff = |number, text: &str| {
        let (target, file) = (world.target(), world.file(text));
        world.run(&StreamCommand::Diff(Diff { target, number, file }))
    };
    assert_eq!(diff(None, TWO), "");
    assert_eq!(diff(Some(1), TWO), "~ a\n    /schema_title: \"x\" → \"y\"\n+ b\n");
    let back = "- b\n~ a\n    /schema_title: \"y\" → \"x\"\n";
    assert_eq!(
        world.rollback(1, true),
        format!("{back}stream config: nothing was published, version 2 is current\n")
    );
    assert_eq!(
        world.rollback(1, false),
        format!("{back}stream config: version 1 published once more, as version 3\n")
    );
    assert_eq!(
        world.rollback(1, false),
        "stream config: unchanged, version 3 says the same as version 1\n"
    );
    assert_eq!(world.versions(), 3);
}

#[test]
fn findings_have_file_line_and_pointer_and_decide_the_exit_code() {
    let world = World::new();
    fs::create_dir_all(world.dir.path().join("schemas/x")).unwrap();
    fs::write(
        world.dir.path().join("schemas/x/1.0.0.yaml"),
        "title: x\n$id: /moved/1.0.0\n",
    )
    .unwrap();
    for (text, strict, expected) in [
        (ONE, true, "streams.yaml: 0 errors, 0 warnings\n"),
        (
            "a: {schema_title: moved}\n",
            true,
            "streams.yaml: 0 errors, 0 warnings\n",
        ),
        (
            "a:\n  schema_title: x\n  acept: log\n",
            false,
            "streams.yaml:3: /a/acept: warning: unknown setting: did you mean accept?\nstreams.yaml: 0 errors, 1 warnings\n",
        ),
        (
            "a: {}\n",
            true,
            "streams.yaml:1: /a: warning: no schema_title: intake takes no events for the stream\nstreams.yaml: 0 errors, 1 warnings\nfailed\n",
        ),
        (
            "# one\na:\n  schema_title: /x\nb:\n  schema_title: z\n",
            false,
            "streams.yaml:3: /a/schema_title: error: no schema has a title that begins with /: write x\nstreams.yaml:5: /b/schema_title: error: no schema is titled z\nstreams.yaml: 2 errors, 0 warnings\nfailed\n",
        ),
    ] {
        let command = StreamCommand::Lint(Lint {
            schemas: Schemas {
                schemas: vec![world.dir.path().join("schemas")],
            },
            strict,
            file: world.file(text),
        });
        assert_eq!(world.run(&command), expected, "{text}");
    }
}

#[test]
fn what_is_imported_can_be_published() {
    let world = World::new();
    let answer = world.dir.path().join("answer.json");
    let text =
        r#"{"streams":{"a":{"schema_title":"x","topic_prefixes":["e."],"stream":"a","topics":["e.a"]}}}"#;
    fs::write(&answer, text).unwrap();
    let imported = world.run(&StreamCommand::Import(Import { file: answer }));
    assert_eq!(imported, "a:\n  schema_title: x\n  topic_prefixes:\n  - e.\n");
    assert!(
        world
            .publish(&imported, false)
            .ends_with("published as version 1\n")
    );
}
