use std::fs;

use serde_json::Value;

use super::*;
use crate::remote::RemoteOptions;

fn check_schemas(dir: &Path, compatibility: Compatibility) -> Result<Report> {
    super::check_schemas(dir, compatibility, &offline())
}

fn offline() -> RemoteSchemas {
    RemoteSchemas::new(&RemoteOptions {
        offline: true,
        cache: Some("none".into()),
        ..RemoteOptions::default()
    })
}

/// A schema of nothing but strings.
fn schema(title: &str, version: &str) -> String {
    format!("title: {title}\n$id: /{title}/{version}\ntype: object\nproperties:\n  a:\n    type: string\n")
}

fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// The problems of some files, as `file rule`.
fn problems(files: &[(&str, &str)]) -> (Status, Vec<String>) {
    let dir = repository(files);
    let report = check_schemas(dir.path(), Compatibility::Full).unwrap();
    let name = |problem: &Problem| {
        let file = Path::new(&problem.file).strip_prefix(dir.path()).unwrap();
        format!("{} {}", file.display(), problem.rule)
    };
    (report.status, report.problems.iter().map(name).collect())
}

#[test]
fn each_structure_rule_finds_its_problem() {
    let (old, new) = (schema("page/view", "1.0.0"), schema("page/view", "1.10.0"));
    let good = [
        (".jsonschema-tools.yaml", "contentTypes: [yaml]\n"),
        ("page/view/current.yaml", new.as_str()),
        ("page/view/1.0.0.yaml", old.as_str()),
        ("page/view/1.0.0", "1.0.0.yaml"),
        ("page/view/1.10.0.yaml", new.as_str()),
        ("page/view/1.10.0", new.as_str()),
        ("page/view/latest.yaml", "1.10.0.yaml\n"),
        ("page/view/latest", "latest.yaml"),
        ("page/view/README.md", "not looked at"),
    ];
    assert_eq!(problems(&good), (Status::Ok, Vec::new()));
    let no_id = new.replace("$id", "id");
    let other_id = new.replace("/page/view/", "/page/seen/");
    let other_version = new.replace("1.10.0", "1.11.0");
    let other_title = new.replace("title: page/view", "title: page/seen");
    let behind = schema("page/view", "1.9.0");
    let misspelt = format!("{other_version}    mexLength: 5\n");
    let unversioned = schema("page/view", "next");
    for (name, text, status, expected) in [
        (
            "current.yaml",
            None,
            Status::Failed,
            &["current.yaml structure-current-exists"][..],
        ),
        (
            "current.yaml",
            Some(behind.as_str()),
            Status::Failed,
            &["current.yaml structure-current-is-greatest"],
        ),
        (
            "current.yaml",
            Some(&other_version),
            Status::NeedsMaterializing,
            &["current.yaml structure-current-is-materialized"],
        ),
        (
            "current.yaml",
            Some(&misspelt),
            Status::Failed,
            &[
                "current.yaml structure-current-is-materialized",
                "current.yaml schema-known-keywords",
            ],
        ),
        (
            "current.yaml",
            Some(&unversioned),
            Status::Failed,
            &["current.yaml structure-id-matches-directory"],
        ),
        (
            "current",
            Some("x"),
            Status::Failed,
            &[
                "current structure-readable",
                "current structure-no-extensionless-current",
            ],
        ),
        ("1.0.0", None, Status::Failed, &["1.0.0 structure-extensionless"]),
        (
            "1.0.0",
            Some("1.10.0.yaml"),
            Status::Failed,
            &["1.0.0 structure-extensionless"],
        ),
        (
            "1.10.0",
            None,
            Status::NeedsMaterializing,
            &["1.10.0 structure-extensionless"],
        ),
        (
            "1.0.0.yaml",
            None,
            Status::Failed,
            &["1.0.0.yaml structure-content-types"],
        ),
        (
            "latest.yaml",
            None,
            Status::NeedsMaterializing,
            &["latest.yaml structure-latest", "latest structure-latest"],
        ),
        (
            "latest.yaml",
            Some("1.0.0.yaml"),
            Status::NeedsMaterializing,
            &["latest.yaml structure-latest", "latest structure-latest"],
        ),
        (
            "latest",
            Some("3.0.0"),
            Status::NeedsMaterializing,
            &["latest structure-latest"],
        ),
        (
            "latest",
            Some(&old),
            Status::NeedsMaterializing,
            &["latest structure-latest"],
        ),
        (
            "1.10.0.yaml",
            Some("a: [\n"),
            Status::Failed,
            &["1.10.0.yaml structure-readable"],
        ),
        (
            "1.10.0.yaml",
            Some("- a\n"),
            Status::Failed,
            &["1.10.0.yaml structure-readable"],
        ),
        (
            "1.0.0.yaml",
            Some("title: a\ntitle: b\n"),
            Status::Failed,
            &["1.0.0.yaml structure-readable"],
        ),
        (
            "current.yaml",
            Some(&other_title),
            Status::Failed,
            &[
                "current.yaml structure-title-matches-directory",
                "1.10.0.yaml structure-current-is-materialized",
            ],
        ),
        (
            "current.yaml",
            Some(&other_id),
            Status::Failed,
            &[
                "current.yaml structure-id-matches-directory",
                "1.10.0.yaml structure-current-is-materialized",
            ],
        ),
        (
            "current.yaml",
            Some(&no_id),
            Status::Failed,
            &["current.yaml structure-id-matches-directory"],
        ),
    ] {
        let path = format!("page/view/{name}");
        let mut files: Vec<(&str, &str)> = good.iter().copied().filter(|(file, _)| *file != path).collect();
        files.extend(text.map(|text| (path.as_str(), text)));
        let (found_status, found) = problems(&files);
        assert_eq!(found_status, status, "{name} {text:?}: {found:?}");
        for rule in expected {
            assert!(
                found.contains(&format!("page/view/{rule}")),
                "{name} {text:?}: {found:?}"
            );
        }
        let rules = |rules: &[String]| -> std::collections::BTreeSet<String> {
            rules
                .iter()
                .map(|rule| rule.split(' ').next_back().unwrap_or_default().to_owned())
                .collect()
        };
        let expected: Vec<String> = expected.iter().map(|rule| (*rule).to_owned()).collect();
        assert_eq!(rules(&found), rules(&expected), "{name} {text:?}: {found:?}");
    }
}

#[test]
fn content_types_must_be_there_and_say_the_same() {
    let (_, found) = problems(&[
        (
            ".jsonschema-tools.yaml",
            "shouldSymlinkExtensionless: false\nshouldSymlinkLatest: false\n",
        ),
        ("a/current.yaml", &schema("a", "1.1.0")),
        ("a/1.0.0.yaml", &schema("a", "1.0.0")),
        ("a/1.1.0.yaml", &schema("a", "1.1.0")),
        ("a/1.1.0.json", r#"{"title": "a", "$id": "/a/1.1.0"}"#),
    ]);
    assert_eq!(
        found,
        [
            "a/1.0.0.json structure-content-types",
            "a/1.1.0.json structure-content-types-equal",
            "a/1.1.0.json structure-current-is-materialized"
        ]
    );
}

#[test]
fn a_version_that_is_not_what_the_edited_file_materializes_to_is_shown_by_the_place() {
    let edited = schema("a", "1.0.0") + "  b:\n    $ref: '#/properties/a'\n";
    let version = schema("a", "1.0.0") + "  b:\n    type: boolean\n";
    let mut files = vec![
        (
            ".jsonschema-tools.yaml",
            "shouldSymlinkExtensionless: false\nshouldSymlinkLatest: false\ncontentTypes: [yaml]\n",
        ),
        ("a/current.yaml", &edited),
        ("a/1.0.0.yaml", &version),
    ];
    let dir = repository(&files);
    let report = check_schemas(dir.path(), Compatibility::Full).unwrap();
    assert_eq!(report.status, Status::NeedsMaterializing);
    let [problem] = report.problems.as_slice() else {
        panic!("{:?}", report.problems)
    };
    assert!(problem.file.ends_with("a/1.0.0.yaml"), "{problem:?}");
    assert_eq!(
        (problem.line, problem.pointer.as_str()),
        (8, "/properties/b/type")
    );

    // The order of members and the layout of the text do not count.
    let same = "{$id: /a/1.0.0, title: a, type: object, properties: {b: {type: string}, a: {type: string}}}";
    files[2].1 = same;
    assert_eq!(problems(&files), (Status::Ok, Vec::new()));

    let cyclic = schema("a", "1.0.0") + "  b:\n    $ref: '#'\n";
    files[1].1 = &cyclic;
    let rule = "a/current.yaml structure-current-materializes".to_owned();
    assert_eq!(problems(&files), (Status::Failed, vec![rule]));
}

#[cfg(unix)]
#[test]
fn links_are_followed_within_their_folder() {
    let dir = repository(&[
        (".jsonschema-tools.yaml", "contentTypes: [yaml]\n"),
        ("a/current.yaml", &schema("a", "1.0.0")),
        ("a/1.0.0.yaml", &schema("a", "1.0.0")),
    ]);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, dir.path().join("a").join(name)).unwrap();
    };
    link("1.0.0.yaml", "1.0.0");
    link("latest.yaml", "latest");
    let rules = || -> Vec<&str> {
        let report = check_schemas(dir.path(), Compatibility::Full).unwrap();
        report.problems.iter().map(|problem| problem.rule).collect()
    };
    // `latest` dangles.
    assert_eq!(rules(), ["structure-readable", "structure-latest"]);
    link("1.0.0.yaml", "latest.yaml");
    assert!(rules().is_empty());
    fs::remove_file(dir.path().join("a/latest")).unwrap();
    link("../a/1.0.0.yaml", "latest");
    assert_eq!(rules(), ["structure-readable"]);
    fs::remove_file(dir.path().join("a/latest")).unwrap();
    link("1.0.0", "latest");
    assert!(rules().is_empty());
    link("..", "loop");
    assert_eq!(rules(), ["structure-readable"]);
}

#[test]
fn what_is_no_repository_is_refused() {
    let refusal = |dir: &Path| format!("{:#}", check_schemas(dir, Compatibility::Full).unwrap_err());
    let empty = repository(&[]);
    assert!(refusal(empty.path()).contains("no schemas"));
    assert!(refusal(&empty.path().join("x")).contains("not a folder"));
    let broken = repository(&[(".jsonschema-tools.yaml", "skipSchemaTestCases: {'(': [x]}\n")]);
    assert!(refusal(broken.path()).contains("/skipSchemaTestCases: not a regular expression"));
    let nowhere = repository(&[(".jsonschema-tools.yaml", "schemaBasePath: x\n")]);
    assert!(refusal(nowhere.path()).contains("no such folder (schemaBasePath)"));
    let misspelt = repository(&[(".jsonschema-tools.yaml", "contentType: [yaml]\n")]);
    assert!(refusal(misspelt.path()).contains("unknown option contentType"));
}

#[test]
fn schemas_that_are_ignored_by_their_id_are_left_alone() {
    let found = |ignored: &str| {
        let config = format!("contentTypes: [yaml]\nignoreSchemas: [{ignored}]\n");
        problems(&[
            (".jsonschema-tools.yaml", &config),
            ("a/current.yaml", &schema("a", "1.0.0")),
            ("a/1.0.0.yaml", &schema("a", "1.0.0").replace("string", "strnig")),
            ("a/1.0.0", "1.0.0.yaml"),
            ("b/1.0.0.yaml", &schema("b", "1.0.0")),
        ])
        .1
    };
    assert_eq!(
        found("'^/a/'")
            .iter()
            .filter(|found| found.starts_with("a/"))
            .count(),
        0
    );
    assert!(found("'^/b/', '^a'").iter().all(|found| found.starts_with("a/")));
}

/// `UPDATE_GOLDEN=1` writes the goldens anew.
#[test]
fn reports_are_as_recorded() {
    let folder = Path::new("src/schema_check");
    for (policy, format, golden) in [
        (Compatibility::Backward, Format::Human, "backward.txt"),
        (Compatibility::Full, Format::Human, "full.txt"),
        (Compatibility::Backward, Format::Json, "backward.json"),
        (Compatibility::Forward, Format::Github, "forward.github.txt"),
    ] {
        let report = check_schemas(&folder.join("fixture"), policy).unwrap();
        let mut out = Vec::new();
        report.write(format, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let path = folder.join("golden").join(golden);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &out).unwrap();
        }
        assert_eq!(out, fs::read_to_string(&path).unwrap(), "{golden}");
    }
}

#[test]
fn the_examples_pass() {
    let report = check_schemas(Path::new("../examples/schemas"), Compatibility::Backward).unwrap();
    assert_eq!(report.problems, []);
}

/// The repository of Wikimedia, where it lies beside this one: what its own tools pass, passes, save for an
/// incompatibility those do not see.
#[test]
fn real_schemas_raise_no_false_alarm() {
    let dir = Path::new("../../shared/data/schemas-event-primary");
    if !dir.is_dir() {
        return;
    }
    let found = |policy| -> Vec<String> {
        let report = check_schemas(dir, policy).unwrap();
        assert_eq!((report.schemas, report.versions, report.compared), (53, 83, 15));
        let problem = |problem: &Problem| {
            let file = Path::new(&problem.file)
                .strip_prefix(dir.join("jsonschema"))
                .unwrap();
            let example = problem.counter_example.as_ref().unwrap();
            assert!(example.event.is_some(), "{problem:?}");
            format!("{} {}", file.display(), problem.change.unwrap_or_default())
        };
        report.problems.iter().map(problem).collect()
    };
    assert_eq!(
        found(Compatibility::Backward),
        ["fragment/common/1.1.0.yaml object-closed"]
    );
    assert_eq!(
        found(Compatibility::Forward),
        [
            "error/2.1.0.yaml property-added",
            "fragment/mediawiki/state/change/page/1.1.0.yaml property-added",
            "mediawiki/page/change/1.1.0.yaml property-added",
            "mediawiki/page/prediction_classification_change/1.1.0.yaml property-added",
        ]
    );
    assert_eq!(found(Compatibility::Full).len(), 5);
}

/// Every subschema of a schema, by pointer, as far as `properties`, `items` and maps lead.
fn subschemas(schema: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    for (name, member) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        subschemas(
            member,
            &format!(
                "{pointer}/properties/{}",
                eventstar_schema_repository::token(name)
            ),
            found,
        );
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(keyword).filter(|inner| inner.is_object()) {
            subschemas(inner, &format!("{pointer}/{keyword}"), found);
        }
    }
}

/// Each place of real schemas is narrowed, one at a time: that is found, and shown by an event.
#[test]
fn any_narrowing_of_a_real_schema_is_found_and_shown() {
    let dir = Path::new("../../shared/data/schemas-event-primary");
    if !dir.is_dir() {
        return;
    }
    let remote = offline();
    let config = Config::of(&Workspace::open(dir, &remote).unwrap()).unwrap();
    let (mut tried, mut unshown) = (0, Vec::new());
    for listing in folders(&config.base, &config).0 {
        let folder = Folder::read(&listing, &config, &mut Vec::new());
        let greatest = text_of(*folder.versions().last().unwrap());
        let old = &folder.version(&greatest, &config).unwrap().1.schema;
        let old_compiled = Schema::compile(&old.to_string()).unwrap();
        let mut places = Vec::new();
        subschemas(old, "", &mut places);
        // One in five, for time.
        for place in places.into_iter().step_by(5) {
            let narrowed: &[(&str, Value)] =
                match old.pointer(&place).unwrap().get("type").and_then(Value::as_str) {
                    Some("string") => &[
                        ("maxLength", 1.into()),
                        ("enum", vec!["none"].into()),
                        ("type", "null".into()),
                    ],
                    Some("integer" | "number") => &[("maximum", (-77).into()), ("type", "string".into())],
                    Some("array") => &[("maxItems", 0.into()), ("type", "string".into())],
                    Some("object") => &[("required", vec!["never"].into()), ("type", "array".into())],
                    _ => &[("type", "null".into())],
                };
            for (keyword, value) in narrowed {
                let mut new = old.clone();
                new.pointer_mut(&place).unwrap()[*keyword] = value.clone();
                let new_compiled = Schema::compile(&new.to_string()).unwrap();
                let found = compare(old, &new);
                let at = format!("{place}/{keyword}");
                let found = found
                    .iter()
                    .find(|found| found.breaks(Policy::Backward) && found.pointer == at);
                let found = found.unwrap_or_else(|| panic!("{}{at}", folder.title));
                let versions = Versions {
                    old,
                    new: &new,
                    old_compiled: &old_compiled,
                    new_compiled: &new_compiled,
                };
                tried += 1;
                if counter_example(found, &versions).is_none() {
                    unshown.push(format!("{}{at}", folder.title));
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
    assert_eq!(unshown, Vec::<String>::new(), "of {tried}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_a_link_out_of_the_repository_is_not_checked() {
    let outside = repository(&[("1.0.0.yaml", "password: hunter2\n")]);
    let dir = repository(&[
        (".jsonschema-tools.yaml", "contentTypes: [yaml]\n"),
        ("a/current.yaml", &schema("a", "1.0.0")),
        ("a/1.0.0.yaml", &schema("a", "1.0.0")),
        ("a/1.0.0", "1.0.0.yaml"),
        ("a/latest.yaml", "1.0.0.yaml"),
        ("a/latest", "latest.yaml"),
    ]);
    std::os::unix::fs::symlink(outside.path(), dir.path().join("b")).unwrap();
    let report = check_schemas(dir.path(), Compatibility::Full).unwrap();
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|problem| (problem.rule, &problem.message))
        .collect();
    let [("structure-readable", message)] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert!(message.starts_with("a link that leads out of"), "{message}");
}

#[test]
fn a_report_shows_no_control_characters_of_a_schema() {
    let text = schema("a", "1.0.0") + "not: {\"x\\e[3J\": {$ref: \"/\\e[2J\"}}\n";
    let dir = repository(&[("a/current.yaml", &text)]);
    let report = check_schemas(dir.path(), Compatibility::Full).unwrap();
    let mut out = Vec::new();
    report.write(Format::Human, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("\u{fffd}[2J") && out.contains("/not/x\u{fffd}[3J"),
        "{out:?}"
    );
    assert!(!out.contains('\u{1b}'), "{out:?}");
}
