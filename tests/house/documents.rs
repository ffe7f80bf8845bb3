//! Documents name files, folders, packages and `make` targets that exist.

use crate::{list, metadata, root, text, workspace};
use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

/// Where a name in backticks is one of a file or folder of the tree. `tuning` is to come: until then no document may name
/// what is in it.
const FOLDERS: [&str; 12] = [
    "bench",
    "cli",
    "common",
    "docs",
    "examples",
    "loadtest",
    "mediaplane",
    "signaling",
    "sim",
    "src",
    "tests",
    "tuning",
];

fn documents() -> Vec<String> {
    let mut found: Vec<String> = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md"]
        .into_iter()
        .filter(|name| root().join(name).is_file())
        .map(str::to_owned)
        .collect();
    for entry in std::fs::read_dir(root().join("docs")).expect("docs/ is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            found.push(format!("docs/{name}"));
        }
    }
    assert!(found.contains(&"README.md".to_owned()));
    found
}

/// What stands between two backticks of a line.
fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Files and folders of the tree, and file names alone.
fn tree() -> (BTreeSet<String>, BTreeSet<String>) {
    fn walk(folder: &Path, paths: &mut BTreeSet<String>, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the tree").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if matches!(name.as_str(), "target" | ".git") {
                continue;
            }
            paths.insert(path.strip_prefix(root()).expect("in the tree").to_string_lossy().into_owned());
            if path.is_dir() {
                walk(&path, paths, names);
            }
            names.insert(name);
        }
    }
    let (mut paths, mut names) = (BTreeSet::new(), BTreeSet::new());
    walk(root(), &mut paths, &mut names);
    (paths, names)
}

fn looks_like_a_path(words: &str) -> bool {
    let is_plain = words.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    let first = words.split('/').next().unwrap_or("");
    is_plain && words.contains('/') && FOLDERS.contains(&first)
}

#[test]
fn documents_name_what_exists() {
    let (paths, names) = tree();
    let mut wrong = Vec::new();
    for document in documents() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in read_to_string(root().join(&document)).expect("text").lines().enumerate() {
            let mut missing = |what: &str| wrong.push(format!("{document}:{}: {what}", index + 1));
            for words in in_backticks(line) {
                let is_file_name = words.ends_with(".rs") && !words.contains(['/', ' ', '*']);
                if looks_like_a_path(words) && !paths.contains(words.trim_end_matches('/'))
                    || is_file_name && !names.contains(words)
                {
                    missing(words);
                }
            }
            for link in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                let is_elsewhere = link.is_empty() || link.contains("://");
                if !is_elsewhere && !root().join(folder).join(link).exists() {
                    missing(link);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "documents name what is not there: {wrong:#?}");
}

#[test]
fn documents_name_packages_and_targets_that_exist() {
    let metadata = metadata();
    let packages: BTreeSet<&str> = workspace(&metadata).into_iter().map(|package| text(package, "name")).collect();
    let examples: BTreeSet<&str> = workspace(&metadata)
        .into_iter()
        .flat_map(|package| list(package, "targets"))
        .filter(|target| list(target, "kind").iter().any(|kind| kind == "example"))
        .map(|target| text(target, "name"))
        .collect();
    let makefile = read_to_string(root().join("Makefile")).expect("a Makefile");
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    for document in documents() {
        for (index, line) in read_to_string(root().join(&document)).expect("text").lines().enumerate() {
            let mut missing = |what: String| wrong.push(format!("{document}:{}: {what}", index + 1));
            let words: Vec<&str> = line.split([' ', '`', ',', '.', ';', ')', '(', '"']).collect();
            for pair in words.windows(2) {
                match pair {
                    ["-p", package] if line.contains("cargo") && !packages.contains(package) && !package.is_empty() => {
                        missing(format!("-p {package}"))
                    }
                    ["--example", example] if !examples.contains(example) => missing(format!("--example {example}")),
                    _ => {}
                }
            }
            // `make TARGET` in backticks, or a line of its own.
            let commands = in_backticks(line).chain(line.strip_prefix("    ").filter(|line| !line.starts_with(' ')));
            for command in commands.filter_map(|command| command.strip_prefix("make ")) {
                let target = command.split(' ').next().unwrap_or("");
                if !targets.contains(target) && !target.contains('=') {
                    missing(format!("make {target}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "documents name what is not there: {wrong:#?}");
}
