//! Deployments with the pinned wrangler, against a stand-in for Cloudflare's API. Nothing leaves this machine.

mod clone;
mod cloud;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::json;

use clone::{Clone, checkout};
use cloud::{Running, State};

const FUNCTIONS: [&str; 5] = ["delivery", "schema", "stream-config", "intake", "sse-relay"];

const STAGE: &str = "hostname = \"events.example.org\"\nzone = \"example.org\"\n\n\
                     [variables]\nALLOWED_STREAMS = \"test.event\"\n\n[variables.intake]\nTOPIC_PREFIX = \"a.\"\n";

/// One worker: enough where all are treated alike.
const SMALL: &str = "hostname = \"events.example.org\"\nzone = \"example.org\"\nfunctions = [\"delivery\"]\n";

/// Rights of a token, by the paths that need them.
const RIGHTS: [(&str, &str); 4] = [
    ("/queues", "Account › Queues › Edit"),
    ("/storage/kv", "Account › Workers KV Storage › Edit"),
    ("/workers/scripts", "Account › Workers Scripts › Edit"),
    ("/routes", "Zone › Workers Routes › Edit"),
];

/// A first deployment: the clone it was made from, the state it left, and what the API did not know.
struct First {
    clone: Clone,
    state: State,
    unknown: Vec<String>,
}

/// The first deployment of [`STAGE`], made once for all tests.
fn first() -> &'static First {
    static FIRST: OnceLock<First> = OnceLock::new();
    FIRST.get_or_init(|| {
        let cloudflare = Running::start(State::default());
        let clone = Clone::new(STAGE);
        clone.deploy(&cloudflare, &[]).good();
        let cloud = cloudflare.cloud();
        let (state, unknown) = (cloud.state.clone(), cloud.unknown.clone());
        First {
            clone,
            state,
            unknown,
        }
    })
}

/// An account with the first deployment, and another clone.
fn deployed() -> (Running, Clone) {
    (Running::start(first().state.clone()), Clone::new(STAGE))
}

fn worker(function: &str) -> String {
    format!("eventstar-{function}-a")
}

/// The lines of a plan, below the line of the worker.
fn plan_of(said: &str, function: &str) -> Vec<String> {
    let lines = said
        .lines()
        .skip_while(|line| !line.contains(&format!("worker {}:", worker(function))))
        .skip(1);
    lines
        .take_while(|line| line.starts_with("    "))
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn each_worker_is_given_what_the_file_says() {
    let First {
        clone,
        state,
        unknown,
    } = first();
    assert_eq!(*unknown, Vec::<String>::new());

    assert_eq!(state.namespaces.values().collect::<Vec<_>>(), ["eventstar-a"]);
    let namespace = state.namespaces.keys().next().unwrap();
    assert_eq!(
        state.queues.keys().collect::<Vec<_>>(),
        ["eventstar-a-dead-letters", "eventstar-a-events"]
    );
    assert_eq!(
        state.scripts.keys().cloned().collect::<BTreeSet<_>>(),
        FUNCTIONS.map(worker).into()
    );

    let config: toml::Table = fs::read_to_string(checkout().join("wrangler.toml"))
        .unwrap()
        .parse()
        .unwrap();
    for function in FUNCTIONS {
        let script = &state.scripts[&worker(function)];
        let wanted = &config["env"][function];
        let mut bindings = BTreeMap::from([(
            "KV".to_owned(),
            json!({ "name": "KV", "type": "kv_namespace", "namespace_id": namespace }),
        )]);
        let mut variables = BTreeMap::from([("ALLOWED_STREAMS".to_owned(), "test.event".to_owned())]);
        if function == "intake" {
            variables.insert("TOPIC_PREFIX".to_owned(), "a.".to_owned());
            bindings.insert(
                "EVENTS".to_owned(),
                json!({ "name": "EVENTS", "type": "queue", "queue_name": "eventstar-a-events" }),
            );
        }
        for (name, value) in wanted
            .get("vars")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
        {
            variables.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        for (name, text) in variables {
            let binding = json!({ "name": name, "type": "plain_text", "text": text });
            bindings.insert(name, binding);
        }
        for object in wanted["durable_objects"]["bindings"].as_array().unwrap() {
            let name = object["name"].as_str().unwrap();
            let mut binding = json!({ "name": name, "type": "durable_object_namespace", "class_name": object["class_name"].as_str() });
            if object.get("script_name").is_some() {
                binding["script_name"] = json!(worker("delivery"));
            }
            bindings.insert(name.to_owned(), binding);
        }
        assert_eq!(script.bindings, bindings, "{function}");
        assert_eq!(
            script.limits["cpu_ms"],
            wanted["limits"]["cpu_ms"].as_integer().unwrap(),
            "{function}"
        );
        assert!(
            !script.is_on_workers_dev,
            "{function} answers on the hostname only"
        );
    }
    assert_eq!(state.routes["events.example.org/*"], worker("sse-relay"));
    assert_eq!(state.routes["events.example.org/v1/events*"], worker("intake"));
    assert_eq!(state.routes["events.example.org/admin/*"], worker("delivery"));
    let consumer = &state.queues["eventstar-a-events"].consumers[0];
    assert_eq!(consumer["script"], worker("delivery"));
    assert_eq!(consumer["dead_letter_queue"], "eventstar-a-dead-letters");

    let made = clone.secrets();
    let admin = BTreeMap::from([("ADMIN_TOKEN".to_owned(), made["ADMIN_TOKEN"].clone())]);
    assert_eq!(state.scripts[&worker("delivery")].secrets, admin);
    assert_eq!(state.scripts[&worker("intake")].secrets, made);
    for function in ["schema", "stream-config", "sse-relay"] {
        assert!(
            state.scripts[&worker(function)].secrets.is_empty(),
            "{function} reads no secret"
        );
    }
}

#[test]
fn a_second_clone_changes_nothing_but_the_code() {
    let (cloudflare, second) = deployed();
    let mut state = first().state.clone();
    // More than a page of others, before ours.
    for other in 0..60 {
        let id = format!("{:032}-{other}", 0);
        state.namespaces.insert(id, format!("other {other}"));
    }
    cloudflare.cloud().state = state.clone();
    let said = second.deploy(&cloudflare, &[]).good();
    assert!(said.contains("nothing changes but the code"), "{said}");
    let cloud = cloudflare.cloud();
    assert_eq!(cloud.state, state);
    assert_eq!(cloud.unknown, Vec::<String>::new());
    assert!(!second.path("secrets").exists(), "no secret was made");
    let kinds = ["secrets", "/kv/", "DELETE", "POST /queues"];
    let writes: Vec<_> = cloud
        .writes
        .iter()
        .filter(|write| kinds.iter().any(|kind| write.contains(kind)) && !write.ends_with("/consumers"))
        .collect();
    assert_eq!(writes, Vec::<&String>::new());
}

#[test]
fn a_changed_variable_is_shown_and_reaches_its_worker_alone() {
    let (cloudflare, clone) = deployed();
    clone.write(&STAGE.replace("\"a.\"", "\"b.\""));
    let said = clone.deploy(&cloudflare, &[]).good();
    assert_eq!(
        plan_of(&said, "intake"),
        ["~ variable TOPIC_PREFIX: \"a.\" -> \"b.\""]
    );
    assert_eq!(plan_of(&said, "delivery"), Vec::<String>::new());
    let mut expected = first().state.clone();
    let intake = expected.scripts.get_mut(&worker("intake")).unwrap();
    intake.bindings.get_mut("TOPIC_PREFIX").unwrap()["text"] = json!("b.");
    assert_eq!(cloudflare.cloud().state, expected);
}

#[test]
fn what_the_file_no_longer_has_goes() {
    let (cloudflare, clone) = deployed();
    clone.write("functions = [\"delivery\", \"intake\"]\n");
    let said = clone.deploy(&cloudflare, &[]).good();
    assert!(
        said.contains(&format!("- worker {}: is deleted", worker("schema"))),
        "{said}"
    );
    assert!(
        said.contains("https://eventstar-intake-a.test.workers.dev"),
        "{said}"
    );
    let plan = plan_of(&said, "intake");
    for line in [
        "- variable ALLOWED_STREAMS: \"test.event\"",
        "- route events.example.org/v1/events*: zone example.org",
        "+ workers.dev: on",
    ] {
        assert!(
            plan.iter().any(|found| found == line),
            "{line} is not in {plan:?}"
        );
    }
    let state = cloudflare.cloud().state.clone();
    assert_eq!(
        state.scripts.keys().collect::<Vec<_>>(),
        [&worker("delivery"), &worker("intake")]
    );
    assert!(state.routes.is_empty(), "{:?}", state.routes);
    assert!(state.scripts[&worker("intake")].is_on_workers_dev);
    assert_eq!(
        state.scripts[&worker("intake")].secrets,
        first().state.scripts[&worker("intake")].secrets
    );
}

#[test]
fn nothing_changes_where_nobody_can_be_asked() {
    let cloudflare = Running::start(State::default());
    let clone = Clone::new(STAGE);
    let secrets = clone.path("secrets");
    let arguments = ["deploy", "--stage", "a", "--prebuilt"];
    let said = clone
        .run(
            &cloudflare,
            &[&arguments[..], &["--secrets-to", secrets.to_str().unwrap()]].concat(),
        )
        .bad();
    assert!(
        said.contains("+ KV namespace eventstar-a: is created"),
        "the plan is shown: {said}"
    );
    assert!(
        said.contains("there is no terminal to ask on") && said.contains("--yes"),
        "{said}"
    );
    let said = clone
        .run(&cloudflare, &[&arguments[..], &["--yes"]].concat())
        .bad();
    assert!(
        said.contains("--secrets-to FILE"),
        "secrets do not go to a log: {said}"
    );
    assert_eq!(cloudflare.cloud().writes, Vec::<String>::new());
}

#[test]
fn a_dry_run_asks_nobody() {
    let cloudflare = Running::start(State::default());
    cloudflare.cloud().refused = Some("/");
    let clone = Clone::new(STAGE);
    let said = clone
        .run(
            &cloudflare,
            &["deploy", "--stage", "a", "--prebuilt", "--dry-run"],
        )
        .good();
    assert!(said.contains("the stage a passed its dry run"), "{said}");
    let written = fs::read_to_string(clone.path(".eventstar/deploy/wrangler.a.toml")).unwrap();
    let written: toml::Table = written.parse().unwrap();
    for function in FUNCTIONS {
        assert!(
            said.contains(&format!("==> checking {}", worker(function))),
            "{said}"
        );
        let bundle = clone
            .path(".eventstar/deploy/dry-run")
            .join(function)
            .join("index.js");
        assert!(bundle.is_file(), "{function} is bundled");
        let variables = &written["env"][function]["vars"];
        assert_eq!(variables["ALLOWED_STREAMS"].as_str(), Some("test.event"));
    }
}

#[test]
fn a_secret_that_somebody_changed_stays_changed() {
    let (cloudflare, clone) = deployed();
    for function in ["intake", "delivery"] {
        let mut cloud = cloudflare.cloud();
        let secrets = &mut cloud.state.scripts.get_mut(&worker(function)).unwrap().secrets;
        secrets.insert("ADMIN_TOKEN".to_owned(), "by hand".to_owned());
    }
    clone.deploy(&cloudflare, &[]).good();
    for function in ["intake", "delivery"] {
        assert_eq!(
            cloudflare.cloud().state.scripts[&worker(function)].secrets["ADMIN_TOKEN"],
            "by hand"
        );
    }
}

#[test]
fn secrets_are_rotated_and_given_on_request_only() {
    let (cloudflare, clone) = deployed();
    let old = first().clone.secrets();
    let said = clone
        .deploy(&cloudflare, &["--rotate-secrets=ADMIN_TOKEN"])
        .good();
    assert_eq!(
        plan_of(&said, "delivery"),
        ["~ secret ADMIN_TOKEN: made, in place of the one in use"]
    );
    let new = clone.secrets();
    assert_eq!(new.keys().collect::<Vec<_>>(), ["ADMIN_TOKEN"]);
    assert_ne!(new["ADMIN_TOKEN"], old["ADMIN_TOKEN"]);
    assert!(!said.contains(&new["ADMIN_TOKEN"]), "the output has no secret");
    {
        let scripts = &cloudflare.cloud().state.scripts;
        assert_eq!(
            scripts[&worker("delivery")].secrets["ADMIN_TOKEN"],
            new["ADMIN_TOKEN"]
        );
        assert_eq!(
            scripts[&worker("intake")].secrets["ADMIN_TOKEN"],
            new["ADMIN_TOKEN"]
        );
        assert_eq!(
            scripts[&worker("intake")].secrets["PRODUCER_TOKENS"],
            old["PRODUCER_TOKENS"]
        );
    }

    let given = [
        "deploy",
        "--stage",
        "a",
        "--prebuilt",
        "--yes",
        "--secret",
        "KAFKA_REST_AUTHORIZATION",
    ];
    let said = clone.run(&cloudflare, &given).bad();
    assert!(said.contains("set KAFKA_REST_AUTHORIZATION"), "{said}");
    let said = clone
        .run_with(&cloudflare, &given, &[("KAFKA_REST_AUTHORIZATION", "Basic abc")])
        .good();
    assert!(!said.contains("Basic abc"), "{said}");
    for function in FUNCTIONS {
        let secrets = &cloudflare.cloud().state.scripts[&worker(function)].secrets;
        let reads = ["intake", "delivery", "sse-relay"].contains(&function);
        assert_eq!(
            secrets.get("KAFKA_REST_AUTHORIZATION").map(String::as_str),
            reads.then_some("Basic abc")
        );
    }
    for file in walk(&clone.path(".eventstar")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("Basic abc") && !text.contains(&new["ADMIN_TOKEN"]),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_right_that_a_token_lacks_is_named_before_anything_changes() {
    for (part, right) in RIGHTS {
        let cloudflare = Running::start(State::default());
        cloudflare.cloud().refused = Some(part);
        let said = Clone::new(STAGE).deploy(&cloudflare, &[]).bad();
        assert!(said.contains(right), "{part}: {said}");
        assert_eq!(cloudflare.cloud().writes, Vec::<String>::new());
    }
}

#[test]
fn a_token_that_may_only_read_gets_the_missing_right_and_the_next_run_goes_on() {
    let cloudflare = Running::start(State::default());
    let clone = Clone::new(SMALL);
    cloudflare.cloud().may_read = true;
    for (part, right) in RIGHTS {
        cloudflare.cloud().refused = Some(part);
        let said = clone.deploy(&cloudflare, &[]).bad();
        assert!(said.contains(right), "{part}: {said}");
        assert!(
            !clone.path("secrets").exists(),
            "no secret was made for half a stage"
        );
    }
    cloudflare.cloud().refused = None;
    clone.deploy(&cloudflare, &[]).good();
    let state = cloudflare.cloud().state.clone();
    assert_eq!(state.scripts[&worker("delivery")].secrets, clone.secrets());
    assert_eq!(state.routes["events.example.org/admin/*"], worker("delivery"));
    assert_eq!(state.queues["eventstar-a-events"].consumers.len(), 1);
}

#[test]
fn a_terminal_is_asked_and_shows_new_secrets_once() {
    let cloudflare = Running::start(State::default());
    let clone = Clone::new(SMALL);
    let said = clone.run_on_terminal(&cloudflare, "no\n").bad();
    assert!(
        said.contains("Only `yes` does") && said.contains("nothing was changed"),
        "{said}"
    );
    assert_eq!(cloudflare.cloud().writes, Vec::<String>::new());

    let said = clone.run_on_terminal(&cloudflare, "yes\n").good();
    let made = cloudflare.cloud().state.scripts[&worker("delivery")].secrets["ADMIN_TOKEN"].clone();
    assert_eq!(said.matches(&format!("ADMIN_TOKEN={made}")).count(), 1, "{said}");
    for file in walk(&clone.path(".eventstar")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&made), "{} has the secret", file.display());
    }
    let said = clone.run_on_terminal(&cloudflare, "yes\n").good();
    assert!(!said.contains("ADMIN_TOKEN"), "{said}");
}

#[test]
fn an_upload_that_breaks_off_is_made_whole_by_the_next_run() {
    let cloudflare = Running::start(State::default());
    let clone = Clone::new(STAGE);
    cloudflare.cloud().breaks = Some(worker("intake"));
    let said = clone.deploy(&cloudflare, &[]).bad();
    assert!(
        said.contains("eventstar-intake-a is not deployed") && said.contains("run the same command again"),
        "{said}"
    );
    assert!(cloudflare.cloud().state.scripts.contains_key(&worker("delivery")));
    assert!(
        !clone.path("secrets").exists(),
        "no secret was made for half a stage"
    );

    cloudflare.cloud().breaks = None;
    let second = Clone::new(STAGE);
    second.deploy(&cloudflare, &[]).good();
    assert_eq!(cloudflare.cloud().state.names(), first().state.names());
    assert_eq!(
        cloudflare.cloud().state.scripts[&worker("intake")].secrets,
        second.secrets()
    );
}

#[test]
fn destroying_asks_for_the_name_and_leaves_nothing_of_the_stage() {
    let (cloudflare, clone) = deployed();
    {
        let mut cloud = cloudflare.cloud();
        cloud
            .state
            .namespaces
            .insert("f".repeat(32), "of somebody else".to_owned());
        cloud
            .state
            .routes
            .insert("example.org/*".to_owned(), "somebody".to_owned());
    }
    for (arguments, said) in [
        (&["destroy", "--stage", "a"][..], "--yes a"),
        (
            &["destroy", "--stage", "a", "--yes", "b"],
            "--yes names another stage",
        ),
    ] {
        let output = clone.run(&cloudflare, arguments).bad();
        assert!(output.contains(said), "{output}");
    }
    assert_eq!(cloudflare.cloud().writes, Vec::<String>::new());
    assert_eq!(cloudflare.cloud().state.scripts, first().state.scripts);

    clone
        .run(&cloudflare, &["destroy", "--stage", "a", "--yes", "a"])
        .good();
    let left = cloudflare.cloud().state.clone();
    assert!(left.scripts.is_empty() && left.queues.is_empty());
    assert_eq!(left.namespaces.values().collect::<Vec<_>>(), ["of somebody else"]);
    assert_eq!(left.routes.values().collect::<Vec<_>>(), ["somebody"]);

    let said = clone
        .run(&cloudflare, &["destroy", "--stage", "a", "--yes", "a"])
        .good();
    assert!(said.contains("it is not deployed"), "{said}");
    assert!(clone.path("stages/a.toml").exists());
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
