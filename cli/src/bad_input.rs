//! Bad input: what each command says of it. None writes or sends anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::fake::{self, State};

const GOOD: &str = "title: a\n$id: /a/1.0.0\ntype: object\nproperties:\n  b:\n    type: string\n";

/// The files of a good repository and a good stream config, and a deployment.
struct World {
    dir: tempfile::TempDir,
    to: String,
    state: Arc<Mutex<State>>,
}

/// Whatever lies in a folder: the target of a link, or the bytes of a file.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

impl World {
    fn new() -> Self {
        let (target, state) = fake::start();
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            to: target.url().to_owned(),
            state,
        };
        world.write(".jsonschema-tools.yaml", b"contentTypes: [yaml]\n");
        for name in ["a/current.yaml", "a/1.0.0.yaml"] {
            world.write(name, GOOD.as_bytes());
        }
        for name in ["a/1.0.0", "a/latest.yaml", "a/latest"] {
            world.write(name, b"1.0.0.yaml");
        }
        world.write("streams.yaml", b"s: {schema_title: a}\n");
        world
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut pending = vec![self.dir.path().to_owned()];
        while let Some(path) = pending.pop() {
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                tree.insert(path, target.into_os_string().into_encoded_bytes());
            } else if path.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                tree.insert(path.clone(), fs::read(path).unwrap());
            }
        }
        tree
    }

    /// Runs a command; gives whether it ended well, and all that it said.
    fn run(&self, command: &str) -> (bool, String) {
        let dir = self.dir.path().to_str().unwrap();
        let command = command.replace("DIR", dir);
        let target = format!(" --to {} --token root", self.to);
        let command = command.replace(" --to", &target);
        let mut out = Vec::new();
        let (is_good, log) = fake::run(command.split(' '), &mut out);
        let said = String::from_utf8(out).unwrap() + &log;
        (is_good, said.replace(&format!("{dir}/"), ""))
    }
}

const COMMANDS: [&str; 4] = [
    "eventstar schema materialize-all --offline DIR",
    "eventstar schema check --offline DIR",
    "eventstar schema publish --to --repository one DIR",
    "eventstar stream lint --schemas DIR DIR/streams.yaml",
];

/// What the commands say, in their order, when one file is bad; `None` where it is none of a command's business.
fn check(name: &str, bytes: &[u8], expected: [Option<&str>; 4]) {
    let world = World::new();
    world.write(name, bytes);
    check_world(name, &world, expected);
}

fn check_world(name: &str, world: &World, expected: [Option<&str>; 4]) {
    let before = world.tree();
    for (command, expected) in COMMANDS.into_iter().zip(expected) {
        let is_publish = command.contains("publish");
        match expected {
            Some(expected) => {
                let (is_good, said) = world.run(command);
                assert!(!is_good && said.contains(expected), "{command}, {name}: {said}");
            }
            // It would change what is there, which is for the others to tell.
            None if is_publish => continue,
            None => {
                let (is_good, said) = world.run(command);
                assert!(is_good, "{command}, {name}: {said}");
            }
        }
        assert_eq!(world.tree(), before, "{command}, {name}");
    }
    assert_eq!(world.state.lock().unwrap().requests, [""; 0], "{name}");
}

fn bomb() -> Vec<u8> {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    text.into_bytes()
}

#[test]
fn what_is_good_passes() {
    let world = World::new();
    for command in COMMANDS {
        let (is_good, said) = world.run(command);
        assert!(is_good, "{command}: {said}");
    }
    assert_eq!(world.state.lock().unwrap().schemas.len(), 1);
}

#[test]
fn references_that_cannot_be_resolved() {
    let with_ref = |uri: &str| format!("{GOOD}not: {{$ref: '{uri}'}}\n").into_bytes();
    for (uri, expected) in [
        ("#", "cyclic $ref: a/current.yaml# → a/current.yaml#"),
        ("../../x/1.0.0", "$ref ../../x/1.0.0 leads out of the repository"),
        ("/x/1.0.0", "$ref /x/1.0.0 leads to nothing"),
        (
            "https://example.org/x/1.0.0",
            "leads to https://example.org/x/1.0.0, which is below no URL of schemaBaseUris",
        ),
        (
            "https://example.org/jsonschema/x/1.0.0",
            "https://example.org/jsonschema/x/1.0.0 cannot be used: nothing is fetched",
        ),
    ] {
        let world = World::new();
        if uri.contains("/jsonschema/") {
            let config = b"contentTypes: [yaml]\nschemaBaseUris: ['https://example.org/jsonschema']\n";
            world.write(".jsonschema-tools.yaml", config);
        }
        world.write("a/current.yaml", &with_ref(uri));
        let (is_good, said) = world.run(COMMANDS[0]);
        assert!(
            !is_good && said.contains("a/current.yaml: /not/$ref: ") && said.contains(expected),
            "{said}"
        );
        let (is_good, said) = world.run(COMMANDS[1]);
        assert!(!is_good && said.contains(expected), "{said}");
        assert!(said.contains("at a/current.yaml:7 /not/$ref"), "{said}");
    }
    // In what is published already materialized.
    let world = World::new();
    world.write("a/1.0.0.yaml", &with_ref("../../x/1.0.0"));
    let (is_good, said) = world.run(COMMANDS[2]);
    assert!(
        !is_good && said.contains("a/1.0.0.yaml") && said.contains("x/1.0.0"),
        "{said}"
    );
    assert_eq!(world.state.lock().unwrap().requests, [""; 0]);
}

#[test]
fn a_version_that_is_there_twice() {
    let other = GOOD.replace("string", "integer");
    for (name, text) in [
        ("a/1.0.0.yml", other.as_str()),
        ("a/1.0.0.json", "{\"title\": \"a\"}"),
    ] {
        let publish = if name.ends_with("yml") {
            "the same version as"
        } else {
            "says something else than"
        };
        check(
            name,
            text.as_bytes(),
            [
                Some("duplicate version: a/1.0.0."),
                Some("says something else than 1.0.0.yaml"),
                Some(publish),
                Some(publish),
            ],
        );
    }
}

#[test]
fn yaml_that_explodes() {
    let said = Some("aliases make the document more than 20 times as large");
    check("a/current.yaml", &bomb(), [said, said, None, None]);
    check("a/1.0.0.yaml", &bomb(), [said, said, said, said]);
    check("streams.yaml", &bomb(), [None, None, None, said]);
    check(".jsonschema-tools.yaml", &bomb(), [said, said, None, None]);
}

#[test]
fn bytes_that_are_no_text() {
    let bytes = b"title: \xff";
    let said = Some("is not UTF-8 from byte 7 on");
    check("a/current.yaml", bytes, [said, Some("not UTF-8"), None, None]);
    let publish = Some("a/1.0.0.yaml: not UTF-8 from byte 7 on");
    check("a/1.0.0.yaml", bytes, [said, Some("not UTF-8"), publish, publish]);
    check(
        "streams.yaml",
        bytes,
        [None, None, None, Some("streams.yaml: cannot be read: ")],
    );
}

#[test]
fn a_link_that_leads_nowhere() {
    let publish = Some("a/1.1.0: points at 1.1.0.yaml, which is missing");
    check(
        "a/1.1.0",
        b"1.1.0.yaml",
        [None, Some("a/1.1.0.yaml"), publish, publish],
    );
    let publish = Some("a/1.0.0: points at 1.0.1.yaml, which is missing");
    let materialize = Some("a/1.0.0: points at 1.0.1.yaml, which does not exist");
    check(
        "a/1.0.0",
        b"1.0.1.yaml",
        [
            materialize,
            Some("leads nowhere, not to 1.0.0.yaml"),
            publish,
            publish,
        ],
    );
    #[cfg(unix)]
    {
        let world = World::new();
        let link = world.dir.path().join("a/1.1.0");
        std::os::unix::fs::symlink("1.1.0.yaml", link).unwrap();
        let says = Some("leads to 1.1.0.yaml, which is missing");
        let publish = Some("a/1.1.0: points at 1.1.0.yaml, which is missing");
        check_world("a/1.1.0", &world, [None, says, publish, publish]);
    }
}

#[test]
fn an_id_that_does_not_match_the_path() {
    let other = GOOD.replace("/a/1.0.0", "/b/1.0.0");
    let materialize = Some("a/current.yaml: /$id: is /b/1.0.0, but the schema lies in /a");
    let check_says = Some("`$id` is \"/b/1.0.0\", but the file lies at /a/1.0.0");
    check(
        "a/current.yaml",
        other.as_bytes(),
        [materialize, check_says, None, None],
    );
    // Events may name it by either.
    let world = World::new();
    world.write("a/1.0.0.yaml", other.as_bytes());
    let (is_good, said) = world.run(COMMANDS[2]);
    assert!(
        is_good && said.contains("warning: a/1.0.0.yaml:2: /$id is \"/b/1.0.0\""),
        "{said}"
    );
}

#[test]
fn a_schema_that_is_too_large_to_be_stored() {
    let world = World::new();
    // It is stored as YAML and as JSON.
    let text = format!("{GOOD}description: {}\n", "x".repeat(1_899_000 / 2));
    world.write("a/1.1.0.yaml", text.replace("1.0.0", "1.1.0").as_bytes());
    let (is_good, said) = world.run(COMMANDS[2]);
    assert!(!is_good, "{said}");
    assert!(
        said.contains("a/1.1.0.yaml: takes 1899")
            && said.contains("more than the 1899000 that can be stored"),
        "{said}"
    );
    assert_eq!(world.state.lock().unwrap().requests, [""; 0]);
}

#[test]
fn a_config_with_one_bad_stream() {
    let world = World::new();
    world.write("streams.yaml", b"s: {schema_title: a}\nt: {partitions: 0}\n");
    let (is_good, said) = world.run("eventstar stream publish --to DIR/streams.yaml");
    assert!(
        !is_good && said.contains("/t/partitions: error: expected a number"),
        "{said}"
    );
    assert_eq!(world.state.lock().unwrap().requests, [""; 0]);
}

#[test]
fn what_is_no_file_and_no_folder() {
    let world = World::new();
    for command in [
        "materialize-all DIR/gone",
        "check DIR/gone",
        "publish --to --repository one DIR/gone",
    ] {
        let (is_good, said) = world.run(&format!("eventstar schema {command}"));
        assert!(
            !is_good && said.contains("gone: not a folder"),
            "{command}: {said}"
        );
    }
}
