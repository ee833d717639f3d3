use super::*;

fn index() -> IndexDocument {
    let text = r#"{"v":1,"titles":{
        "a/b":["1.0.0","1.9.0","1.10.0"], "a/b/c":["1.0.0"], "a/bc":["1.0.0"], "old":["2.0.0"]
    },"files":{
        "a/b":{"1.0.0":{"published":1000,"json":10,"yaml":20},"1.9.0":{"published":3000,"json":11},"1.10.0":{"published":2000,"json":12,"yaml":22}},
        "a/b/c":{"1.0.0":{"published":4000,"json":1}},
        "a/bc":{"1.0.0":{"published":500,"json":1}}
    }}"#;
    serde_json::from_str(text).unwrap()
}

fn shown(below: &[&str]) -> Vec<String> {
    entries(&index(), below)
        .into_iter()
        .map(|entry| {
            let (modified, size) = (entry.modified, entry.size);
            format!("{} {modified:?} {size:?}", entry.name).replace("Some", "")
        })
        .collect()
}

#[test]
fn folders_come_first_and_tell_the_newest_publish_below() {
    assert_eq!(shown(&[]), ["a (4000) None", "old None None"]);
    assert_eq!(shown(&["a"]), ["b (4000) None", "bc (500) None"]);
    assert_eq!(shown(&["a", "bc"]).len(), 6);
    assert_eq!(shown(&["a", "nope"]), [""; 0]);
    assert_eq!(shown(&["a", "b", "1.0.0"]), [""; 0]);
}

#[test]
fn versions_ascend_by_semver_in_every_form() {
    assert_eq!(
        shown(&["a", "b"]),
        [
            "c (4000) None",
            "1.0.0 (1000) (20)",
            "1.0.0.json (1000) (10)",
            "1.0.0.yaml (1000) (20)",
            "1.9.0 (3000) (11)",
            "1.9.0.json (3000) (11)",
            "1.9.0.yaml (3000) (11)",
            "1.10.0 (2000) (22)",
            "1.10.0.json (2000) (12)",
            "1.10.0.yaml (2000) (22)",
            "latest (2000) (22)",
            "latest.json (2000) (12)",
            "latest.yaml (2000) (22)",
        ]
    );
}

#[test]
fn what_an_older_writer_did_not_note_is_left_out() {
    assert_eq!(shown(&["old"])[..2], ["2.0.0 None None", "2.0.0.json None None"]);
    let listing = to_json(&entries(&index(), &["old"]));
    assert!(
        listing.starts_with("[\r\n{ \"name\":\"2.0.0\", \"type\":\"file\" },\r\n"),
        "{listing}"
    );
    let folder = to_json(&entries(&index(), &[]));
    assert!(
        folder.ends_with(",\r\n{ \"name\":\"old\", \"type\":\"directory\" }\r\n]"),
        "{folder}"
    );
}
