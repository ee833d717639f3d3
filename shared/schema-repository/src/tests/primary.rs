//! Wikimedia's primary schema repository materializes to what is committed there, where a checkout lies beside this one.

use std::fs;
use std::path::Path;

use super::repository;
use crate::{File, Files, Options, read, write_yaml};

fn load(base: &Path, folder: &str, files: &mut Files) {
    for entry in fs::read_dir(base.join(folder)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            load(base, &path, files);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            files.insert(path, File::Link(target.to_str().unwrap().to_owned()));
        } else {
            files.insert(path, File::Bytes(fs::read(entry.path()).unwrap()));
        }
    }
}

#[test]
fn every_current_schema_materializes_to_its_committed_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/schemas-event-primary");
    if !root.is_dir() {
        return;
    }
    let config = fs::read_to_string(root.join(".jsonschema-tools.yaml")).unwrap();
    let options = Options::parse(".jsonschema-tools.yaml", &config).unwrap();
    let mut files = Files::new();
    load(&root.join("jsonschema"), "", &mut files);
    let repository = repository(files.clone(), options);
    let paths = repository.current_paths();
    assert_eq!(paths.len(), 53);
    let mut byte_equal = 0;
    for path in &paths {
        let schema = repository.schema(path).unwrap();
        let folder = path.rsplit_once('/').unwrap().0;
        let version = schema
            .get("$id")
            .unwrap()
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let committed = format!("{folder}/{version}.yaml");
        assert_eq!(schema, read(&files, &committed).unwrap(), "{path}");
        let text = write_yaml(&schema);
        if files[&committed] == File::Bytes(text.clone().into_bytes()) {
            byte_equal += 1;
        } else {
            let File::Bytes(bytes) = &files[&committed] else {
                panic!("{committed} is a link")
            };
            let diff = crate::diff("committed", &read(&files, &committed).unwrap(), "ours", &schema);
            let there = String::from_utf8_lossy(bytes);
            let line = there
                .lines()
                .zip(text.lines())
                .find(|(left, right)| left != right);
            panic!("{path}: {line:?}\n{diff}");
        }
        assert_eq!(repository.plan(path, false).unwrap(), []);
    }
    assert_eq!(byte_equal, 53);
}
