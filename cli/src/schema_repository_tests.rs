use super::*;

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn read(&self) -> Result<SchemaRepository> {
        SchemaRepository::read(self.0.path())
    }

    fn refusal(&self) -> String {
        format!("{:#}", self.read().unwrap_err())
    }
}

const YAML: &str = "title: page/view\n$id: /page/view/1.0.0\nmaximum: 18446744073709551615\n";

#[test]
fn several_forms_of_one_version_are_one_version() {
    let json = r#"{ "title": "page/view", "$id": "/page/view/1.0.0", "maximum": 18446744073709551615 }"#;
    let fixture = Fixture::new(&[
        ("page/view/1.0.0.yaml", YAML),
        ("page/view/1.0.0.json", json),
        ("page/view/1.0.0", YAML),
        ("page/view/current.yaml", "title: not looked at"),
        ("page/view/latest.yaml", "title: not looked at"),
        ("page/view/README.md", "text"),
    ]);
    let repository = fixture.read().unwrap();
    assert_eq!(repository.schemas().len(), 1);
    let schema = &repository.schemas()[0];
    assert_eq!(
        (schema.uri().as_str(), schema.json.as_str()),
        ("/page/view/1.0.0", json)
    );
    assert_eq!(schema.yaml.as_deref(), Some(YAML));
}

#[test]
fn the_json_form_of_yaml_keeps_order_and_large_integers() {
    let repository = Fixture::new(&[("page/view/1.0.0", YAML)]).read().unwrap();
    assert_eq!(
        repository.schemas()[0].json,
        r#"{"title":"page/view","$id":"/page/view/1.0.0","maximum":18446744073709551615}"#
    );
    assert_eq!(repository.schemas()[0].yaml.as_deref(), Some(YAML));
}

#[test]
fn links_are_followed_whether_symlinks_or_texts() {
    let fixture = Fixture::new(&[("page/view/1.0.0.yaml", YAML), ("page/view/1.0.0", "1.0.0.yaml")]);
    assert_eq!(fixture.read().unwrap().schemas().len(), 1);

    let fixture = Fixture::new(&[("page/view/1.0.0", YAML)]);
    std::os::unix::fs::symlink("1.0.0", fixture.0.path().join("page/view/1.0.0.yaml")).unwrap();
    assert_eq!(fixture.read().unwrap().schemas().len(), 1);

    let fixture = Fixture::new(&[("page/view/1.0.0", "1.0.0.yaml")]);
    assert!(
        fixture
            .refusal()
            .contains("points at 1.0.0.yaml, which is missing")
    );

    let fixture = Fixture::new(&[
        ("page/view/1.0.0", "1.0.0.yaml"),
        ("page/view/1.0.0.yaml", "1.0.0"),
    ]);
    assert!(fixture.refusal().contains("points at itself"));
}

#[test]
fn versions_are_ordered_by_number() {
    let schema = "title: a\n";
    let fixture = Fixture::new(&[
        ("a/1.10.0.yaml", schema),
        ("a/1.9.0.yaml", schema),
        ("a/01.0.0.yaml", "not one"),
    ]);
    let repository = fixture.read().unwrap();
    let versions: Vec<_> = repository
        .schemas()
        .iter()
        .map(|schema| schema.version.as_str())
        .collect();
    assert_eq!(versions, ["1.9.0", "1.10.0"]);
}

#[test]
fn every_broken_file_is_named_with_its_place() {
    let fixture = Fixture::new(&[
        ("a/1.0.0.yaml", "title: [1\n"),
        ("b/1.0.0.json", "{"),
        ("c/1.0.0.yaml", "title: d\n"),
        ("e/1.0.0.yaml", "- 1\n"),
        ("f/1.0.0.yaml", ""),
        ("g/1.0.0.yaml", "title: g\nx: {y: 1, y: 2}\n"),
        ("h/1.0.0.yaml", "title: h\n"),
        ("h/1.0.0.json", r#"{"title":"h","type":"object"}"#),
        ("1.0.0.yaml", "title: i\n"),
    ]);
    let refusal = fixture.refusal();
    for expected in [
        "a/1.0.0.yaml: not valid YAML",
        "b/1.0.0.json: not valid JSON",
        "c/1.0.0.yaml:1: /title is \"d\", but its folder says \"c\"",
        "e/1.0.0.yaml: the root of a schema must be an object",
        "f/1.0.0.yaml: is empty",
        "g/1.0.0.yaml: not valid YAML: x: /x/y: the member appears twice",
        "h/1.0.0.yaml: says something else than",
        "1.0.0.yaml: a schema version must be in a folder named as its title",
    ] {
        assert!(refusal.contains(expected), "{expected} not in:\n{refusal}");
    }
}

#[test]
fn an_id_that_does_not_match_is_only_a_warning() {
    let repository = Fixture::new(&[("a/b/1.0.0.yaml", "title: a/b\n$id: /b/1.0.0\n")])
        .read()
        .unwrap();
    assert_eq!(repository.warnings().len(), 1);
    assert!(repository.warnings()[0].contains("the schema lies at /a/b/1.0.0"));
}

#[test]
fn a_schema_that_strangers_could_make_slow_is_a_warning_that_says_where() {
    let schema = "title: a\n$id: /a/1.0.0\nproperties:\n  b: {type: string, pattern: x}\n";
    let repository = Fixture::new(&[("a/1.0.0.yaml", schema)]).read().unwrap();
    assert_eq!(repository.warnings().len(), 1);
    assert!(
        repository.warnings()[0]
            .contains("1.0.0.yaml:4: at /properties/b: not secure: \"maxLength\" is a required property"),
        "{:?}",
        repository.warnings()
    );
}

#[test]
fn the_first_object_among_the_examples_is_the_example() {
    let text = "title: a\nexamples:\n  - 1\n  - {x: 1}\n  - {x: 2}\n";
    let repository = Fixture::new(&[("a/1.0.0.yaml", text)]).read().unwrap();
    assert_eq!(
        serde_json::to_string(&repository.schemas()[0].example()).unwrap(),
        r#"{"x":1}"#
    );
}

#[test]
fn an_empty_or_missing_folder_says_what_is_expected() {
    assert!(Fixture::new(&[]).refusal().contains("no materialized versions"));
    assert!(
        format!("{:#}", SchemaRepository::read(Path::new("/nowhere")).unwrap_err()).contains("not a folder")
    );
}

#[test]
fn links_out_of_the_repository_are_not_read() {
    use std::os::unix::fs::symlink;
    let outside = Fixture::new(&[("page/view/1.0.0", YAML)]);
    let other = "title: a\n$id: /a/1.0.0\n";
    for (link, target) in [
        ("page/view/1.0.0", "page/view/1.0.0"),
        ("page/view", "page/view"),
        ("page", "page"),
    ] {
        let fixture = Fixture::new(&[("a/1.0.0", other)]);
        let path = fixture.0.path().join(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(outside.0.path().join(target), &path).unwrap();
        let refusal = fixture.refusal();
        let expected = format!("{}: a link that leads out of", path.display());
        assert!(refusal.contains(&expected), "{refusal}");
    }
    // A git work tree is one repository, whatever folder of it is published.
    let tree = Fixture::new(&[("shared/page/view/1.0.0", YAML), ("base/a/1.0.0", other)]);
    let read = || SchemaRepository::read(&tree.0.path().join("base"));
    symlink("../shared/page", tree.0.path().join("base/page")).unwrap();
    assert!(read().is_err());
    fs::create_dir(tree.0.path().join(".git")).unwrap();
    assert_eq!(read().unwrap().schemas().len(), 2);
}
